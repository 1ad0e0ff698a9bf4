"""vLLM: settings, start, requests, errors; generation and pooling."""
