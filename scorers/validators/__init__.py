"""Validators: rules that a text passes or not, and selectors by rules."""
