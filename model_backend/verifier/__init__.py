"""Training of a verifier, a reward model of one's own."""
