"""What there is, by name: parts that a config can name, plugins, and runs."""
