"""Confidence: selectors that read log-probabilities."""
