"""One query: draw samples, ask models, choose an answer."""
