"""Searches over a world whose truth is known in closed form, and what they cost an engine."""
