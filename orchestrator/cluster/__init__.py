"""A run on Ray: its driver, workers and engines, leases, and the session that joins them."""
