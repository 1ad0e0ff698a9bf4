"""Strategies: how many samples a question gets, and when drawing stops."""
