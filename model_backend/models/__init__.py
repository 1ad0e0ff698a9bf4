"""Models on disk: names, digests, the small one that the demo uses."""
