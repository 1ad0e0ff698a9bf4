"""Runs in the experiment trackers that people have: Weights & Biases, MLflow."""
