"""One backend over many engines: placement, batches, aborts, quarantine."""
