"""`nbest train-verifier`: examples, training, its report."""
