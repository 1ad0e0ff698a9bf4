"""Structured output from Python: a type in, a value of it out."""
