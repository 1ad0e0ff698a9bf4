"""Faults: real processes killed, and what was lost counted."""
