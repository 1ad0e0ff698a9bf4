"""Search over the steps of an answer: what is grown, and where it is pruned."""
