"""Runs: planned, carried out, resumed, and read again as cases."""
