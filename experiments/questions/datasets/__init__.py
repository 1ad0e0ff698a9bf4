"""Data sets: files, hub, tasks that make questions."""
