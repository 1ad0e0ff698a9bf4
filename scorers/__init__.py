"""Scorers, extractors, validators, equivalences and estimators: arrays in, arrays out.

A scorer gives each candidate of one query a number; selection is the argmax over those that have
an answer. Nothing here knows an engine, a file, a clock or a gold answer; only the sandboxes touch
the world.
"""
