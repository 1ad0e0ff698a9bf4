"""A person picks: in the terminal or in a browser."""
