"""Replays: what a strategy would have drawn from stored samples."""
