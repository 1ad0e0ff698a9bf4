"""Fan-out, strategies, the store, the cluster: asyncio and Ray, and no model."""
