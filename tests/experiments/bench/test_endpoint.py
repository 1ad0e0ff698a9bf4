"""The comparison of an engine with a server: the same requests on both sides, in turns."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from nbest.experiments.bench.endpoint import EndpointRound, compared
from nbest.experiments.bench.engine import EngineLoad
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.model_backend.openai.settings import Endpoint
from nbest.orchestrator.types import Request
from tests.model_backend.openai.fake_server import FakeServer, serving

LOAD = EngineLoad(queries=2, n=4, max_tokens=8)


def script(request: Request) -> Reply:
    return Reply(tokens=(f"{request.seed} ", "words"), token_s=0.001)


def other(request: Request) -> Reply:
    """Says the same for even seeds alone."""
    text = f"{request.seed} " if (request.seed or 0) % 2 == 0 else "? "
    return Reply(tokens=(text, "words"), token_s=0.001)


@pytest.mark.parametrize(("served", "same"), [(script, 1.0), (other, 0.5)])
async def test_both_sides_are_timed_and_their_texts_compared(served: object, same: float) -> None:
    told: list[EndpointRound] = []
    async with (
        serving(FakeServer(served)) as server,  # type: ignore[arg-type]
        Endpoint("fake", base_url=server.url).open() as live,
        FakeBackend(script=script).open() as engine,
    ):
        result = await compared(engine, live, LOAD, 2, told.append)
    assert len(told) == result.rounds == 2
    assert result.same == same
    assert result.engine_tokens_per_s > 0
    assert result.endpoint_tokens_per_s > 0
    assert json.loads(json.dumps(asdict(result)))["ratio"] > 0
