"""Equivalences: which answers mean the same."""
