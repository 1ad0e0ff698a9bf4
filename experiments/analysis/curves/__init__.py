"""Curves: accuracy against the number of samples."""
