"""Configs: the sections of a run, overrides, the table of plugin names."""
