"""Reward models: what they read, how steps are told apart, the PyTorch engine."""
