"""Configs: the sections of a run, overrides, and the table of plugin names."""
