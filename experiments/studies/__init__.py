"""Studies: long experiments, one command each."""
