"""Reward models: their input, the steps of a response, the PyTorch engine."""
