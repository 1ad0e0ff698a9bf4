"""`nbest train-verifier`: the examples, the command, and the report on what was trained."""
