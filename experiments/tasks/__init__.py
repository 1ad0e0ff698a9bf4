"""Named tasks: benchmarks that many people run, each a config that lacks a model and a file."""
