"""Sandboxes: other people's code, SQL and mathematics, in processes that can be killed."""
