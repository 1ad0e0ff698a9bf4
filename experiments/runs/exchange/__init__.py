"""Samples and choices in files that other programs write or read."""
