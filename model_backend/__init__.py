"""Models behind the `Backend` protocol: vLLM, reward models, and fakes that follow a script."""
