"""Tests that unpacking returns what was packed."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.cluster.engine.wire import (
    pack_requests,
    pack_results,
    unpack_requests,
    unpack_results,
)
from nbest.orchestrator.errors import BackendError, Overloaded, RequestRejected
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Request, Sample, Status

PROMPTS = st.sampled_from(["a", "b", (Message(role="user", content="hello"),)])
PARAMS = st.sampled_from([SamplingParams(), SamplingParams(temperature=0.5, stop=("x",))])
REQUESTS = st.builds(
    Request,
    id=st.text(max_size=5),
    prompt=PROMPTS,
    params=PARAMS,
    seed=st.none() | st.integers(0, 2**53),
    affinity=st.sampled_from(["q1", "q2"]),
)
LOGPROBS = st.lists(st.floats(max_value=0, allow_nan=False), max_size=3).map(tuple)
SAMPLES = st.builds(
    Sample,
    id=st.text(max_size=5),
    text=st.text(max_size=5),
    token_ids=st.lists(st.integers(0, 10**6), max_size=3).map(tuple),
    logprobs=st.none() | LOGPROBS,
    status=st.sampled_from(Status),
    error=st.text(max_size=3),
    generated_tokens=st.integers(0, 9),
    engine=st.text(max_size=3),
)
FAILURES = st.sampled_from([BackendError("odd"), RequestRejected("too long"), Overloaded("full")])


@given(st.lists(REQUESTS, max_size=12))
def test_requests_come_out_as_they_went_in(requests: list[Request]) -> None:
    travelled = pickle.loads(pickle.dumps(pack_requests(requests)))
    assert unpack_requests(travelled) == requests


def test_the_requests_of_a_query_travel_as_one() -> None:
    prompt, params = "a long prompt", SamplingParams()
    requests = [
        Request(id=f"q/s{i}", prompt=prompt, params=params, seed=i, affinity="q") for i in range(50)
    ]
    (packed,) = pack_requests(requests)
    assert len(packed.rows) == 50


@given(st.lists(st.tuples(st.text(max_size=5), SAMPLES | FAILURES), max_size=8))
def test_results_come_out_as_they_went_in(pairs: list[tuple[str, Sample | BackendError]]) -> None:
    finished = [(r.id if isinstance(r, Sample) else name, r) for name, r in pairs]
    out = unpack_results(pickle.loads(pickle.dumps(pack_results(finished))))
    samples = [pair for pair in finished if isinstance(pair[1], Sample)]
    failures = [pair for pair in finished if not isinstance(pair[1], Sample)]
    assert out[: len(samples)] == samples
    came = [(name, type(error), str(error)) for name, error in out[len(samples) :]]
    assert came == [(name, type(error), str(error)) for name, error in failures]
