"""The table of selectors: rows, baselines, and how large cases are."""
