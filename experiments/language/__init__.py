"""How a user's words are read: YAML, expressions, construction, errors of one line."""
