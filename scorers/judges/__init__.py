"""Judges: selectors that ask a model, and reward models."""
