"""Extractors: the answer that a text gives."""
