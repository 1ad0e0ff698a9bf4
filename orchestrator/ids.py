"""The seed of a sample is a hash of what it is: no order, no retry and no sharding changes it.

It knows no clock and no random state.
"""

from __future__ import annotations

from hashlib import blake2b


def sample_seed(run_seed: int, query_id: str, index: int) -> int:
    """A seed in [0, 2**53): integers that every JSON parser on the way to a server keeps exact."""
    name = f"{run_seed}/{query_id}/{index}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 11
