"""Runs: planned, executed, resumed, and read again as cases."""
