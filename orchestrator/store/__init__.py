"""The sample store: durable, read again by any later run."""
