"""Graders: they say whether an answer is right."""
