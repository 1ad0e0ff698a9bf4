"""A run: the main loop, the job that it does, its progress."""
