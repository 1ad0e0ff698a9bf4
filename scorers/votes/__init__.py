"""Votes: selectors that count equal answers, plain or weighted."""
