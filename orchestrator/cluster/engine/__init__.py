"""An engine as a Ray actor, its client in a worker, and its watch in the driver."""
