"""OpenAI-compatible servers as backends: settings, requests, replies, limits, failures."""
