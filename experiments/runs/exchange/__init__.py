"""Samples and choices in files that others read or wrote."""
