"""Uncertainty of a question: one number from all of its samples, the higher the less sure."""
