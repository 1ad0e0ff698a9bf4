"""Fakes: an engine that follows a script, its faults, its clock."""
