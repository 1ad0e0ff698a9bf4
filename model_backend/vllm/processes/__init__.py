"""The processes of an engine: started, watched, and ended with whoever holds them."""
