"""Ray: the driver, workers, leases, and what joins them."""
