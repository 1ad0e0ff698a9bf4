"""`nbest view` and `nbest show`: every question and sample of a run, to look at."""
