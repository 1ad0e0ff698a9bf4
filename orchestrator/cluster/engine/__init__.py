"""An engine as a Ray actor, and the worker's side of it."""
