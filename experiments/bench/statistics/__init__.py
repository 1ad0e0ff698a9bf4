"""Simulations with a known truth: whether the figures that nbest prints keep what they promise."""
