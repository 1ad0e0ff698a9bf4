"""Reward models without a model: scripts for a `FakeBackend` that rate instead of answering.

They look at no text but the response that they rate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.types import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """A script that rates responses by a function: a number a step, one for an outcome model.

    A store knows the model by the repr of `of`, which must be the same in every process.

    Example: `FakeBackend(script=Rewards(of=lambda response: [float(len(response))]))`
    """

    of: Callable[[str], Sequence[float]]
    seconds: float = 0.0  # that a rating takes

    def __call__(self, request: Request) -> Reply:
        if request.response is None:
            return Reply(tokens=(), error=RequestRejected("a reward model generates nothing"))
        words = f"{request.prompt} {request.response}".split()
        text = json.dumps(list(self.of(request.response)))
        return Reply(tokens=(text,), first_token_s=self.seconds, prompt_tokens=len(words))


@dataclass(frozen=True, slots=True)
class HashedReward:
    """Rates a response by one number in [0, 1) that looks random and is always the same."""

    def __call__(self, response: str) -> tuple[float, ...]:
        digest = blake2b(response.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        return (int.from_bytes(digest) / 2**32,)


def fake_rewards(*, seconds: float = 0.0, max_concurrency: int = 256) -> FakeBackend:
    """Make a fake reward model that rates by a hash of the response, to rehearse a run."""
    script = Rewards(of=HashedReward(), seconds=seconds)
    return FakeBackend(script=script, max_concurrency=max_concurrency)
