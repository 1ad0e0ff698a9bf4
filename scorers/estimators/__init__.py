"""Estimators: what a selector would do with k samples, and how sure that is."""
