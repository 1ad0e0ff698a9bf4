"""Structured output: values read in what a model wrote, and reasons where there is none."""
