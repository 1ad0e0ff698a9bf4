"""Ids of requests and samples, made and parsed here alone, and the seed that follows from them.

The id of a request is a path, `RUN/QUERY/sINDEX`; where a worker has died and its query is asked
again, it is `RUN/QUERY/sINDEX/tATTEMPT`, so that an abort which comes late hits no other request.
The id of the sample never has the last part: it is the same whatever attempt made the sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

from nbest.orchestrator.requirements import require


def sample_id(run: str, query_id: str, index: int) -> str:
    """The id of a sample: `RUN/QUERY/sINDEX`."""
    return f"{run}/{query_id}/s{index}"


def request_id(run: str, query_id: str, index: int, attempt: int = 0) -> str:
    """The id of a request: that of its sample, with `/tATTEMPT` from the second attempt on."""
    sample = sample_id(run, query_id, index)
    return f"{sample}/t{attempt}" if attempt else sample


def query_of(request_id: str) -> str:
    """`RUN/QUERY`, the query that a request belongs to; an id of one part is its own query."""
    return _without_attempt(request_id).rpartition("/")[0] or request_id


def index_of(sample_id: str) -> int:
    """The index of a sample within its query."""
    return int(sample_id.rpartition("/s")[2])


def _without_attempt(request_id: str) -> str:
    head, _, last = request_id.rpartition("/")
    return head if last[:1] == "t" and last[1:].isdigit() else request_id


def sample_seed(run_seed: int, query_id: str, index: int) -> int:
    """The seed of a sample in [0, 2**53), hashed from its key: no order and no retry changes it.

    Every JSON parser on the way to a server keeps such an integer exact.
    """
    name = f"{run_seed}/{query_id}/{index}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 11


def require_once(query_ids: Iterable[str]) -> None:
    """Raise InputError where an id is there twice: a sample could not tell whose it is."""
    for query_id, count in Counter(query_ids).items():
        require(count == 1, "query id", f"be there once, is there {count} times", query_id)
