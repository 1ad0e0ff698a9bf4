"""Pools of candidates that are always the same, to check scorers on: ties, twins, every status."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Identity, Message, Sample, Status, TopLogprobs
from nbest.scorers.judges.distinct import content_hash

TEXTS = ("7", "8", "", "so 7", '{"x": 1}', '{"x": "1"}', "SELECT 1", "x" * 2000)
TOP_K = 20


def sample(i: int, text: str, *logprobs: float) -> Sample:
    """A good sample with that text; its tokens and their likeliest neighbours are made up."""
    values = logprobs or (-0.25 - (len(text) % 7) / 8, -1.0)
    steps = np.arange(TOP_K, dtype=np.float32) / 4 + 0.125
    top = np.asarray(values, np.float32)[:, np.newaxis] - steps
    return Sample(
        id=f"run/q17/s{i}",
        text=text,
        logprobs=values,
        top_logprobs=TopLogprobs(k=TOP_K, packed=top.tobytes()),
        generated_tokens=len(values),
    )


def pool(samples: Sequence[Sample]) -> Candidates:
    """Candidates whose answers are their texts; one that is not OK has none."""
    answers = (s.text if s.text and s.status is Status.OK else None for s in samples)
    stored = np.array([_number(s.text) for s in samples], np.float64)
    return Candidates(
        samples=tuple(samples),
        answers=tuple(answers),
        ask=_judge,
        ask_model=lambda identity: _judge,
        rate=_verifier,
        scores={"verifier": stored},
    )


def random_pools(count: int) -> Iterator[Candidates]:
    """Pools of up to twelve: ties, twins, every status, some without log-probabilities."""
    rng = np.random.default_rng(3)
    statuses = tuple(Status)
    for _ in range(count):
        samples = []
        for i in range(int(rng.integers(0, 13))):
            one = sample(i, TEXTS[rng.integers(len(TEXTS))], *(-rng.integers(0, 9, 2) / 4))
            if rng.random() < 0.2:
                one = replace(one, status=statuses[rng.integers(len(statuses))])
            if rng.random() < 0.1:
                one = replace(one, logprobs=None, top_logprobs=None)
            samples.append(one)
        yield pool(samples)


async def _judge(name: str, prompt: str | tuple[Message, ...], params: SamplingParams) -> Sample:
    """A model that a scorer may ask: its reply depends on the prompt alone."""
    coin = int(content_hash(str(prompt)), 16)
    stated = re.findall(r"number[^.]*, from 1 to (\d+)", str(prompt))
    count = int(stated[-1]) if stated else 5
    reply = "AB"[coin % 2] if "A or B" in str(prompt) else str(1 + coin % count)
    return Sample(id=f"run/q17/{name}", text=reply)


async def _verifier(identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]:
    """A reward model that a scorer may have: its rewards depend on the response alone."""
    rewards = (-_number(response) for response in responses)  # some take log-probabilities
    return tuple(Sample(id="reward", text=f"[{reward}, {reward}]") for reward in rewards)


def _number(text: str) -> float:
    return int(content_hash(text)[:4], 16) / 2**16
