"""Analysis of a run: a row a selector, pairs, abstention."""
