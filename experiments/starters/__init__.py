"""Starters of `nbest init`: a config and ten questions for each kind of task."""
