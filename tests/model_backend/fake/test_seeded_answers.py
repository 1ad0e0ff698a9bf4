"""A model that is often wrong: the weights say how often, the seed says when."""

from __future__ import annotations

import pickle
import random as rng
from collections import Counter

import numpy as np
import pytest

from nbest import FakeBackend, GenSelect, Judge, SeededAnswers, Tournament, UniversalVote
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Message, Query, Request, Sample


def request(name: str = "r", *, seed: int | None) -> Request:
    return Request(id=name, prompt="?", params=SamplingParams(), seed=seed)


def test_answers_are_as_frequent_as_their_weights() -> None:
    """The counts are exact over every seed of one cycle."""
    script = SeededAnswers(answers=("a", "b", "c"), weights=(3, 1, 2))
    counts = Counter(script(request(seed=seed)).tokens[0] for seed in range(6 * 50))
    assert counts == {"a": 150, "b": 50, "c": 100}


def test_the_seed_alone_decides() -> None:
    script = SeededAnswers(answers=("a", "b", "c"), weights=(1, 1, 1), token_s=0.5, first_token_s=2)
    replies = [script(request(name, seed=4)) for name in ("x", "y")]
    assert replies[0] == replies[1]
    assert (replies[0].token_s, replies[0].first_token_s) == (0.5, 2)
    assert script(request(seed=None)).tokens == ("a",)


@pytest.mark.parametrize("prompt", ["?", (Message(role="user", content="What is 1 + 1?"),)])
@pytest.mark.parametrize(
    "scorer", [Judge(), Judge(scale=10), Tournament(kind="league"), UniversalVote(), GenSelect()]
)
async def test_it_replies_in_the_terms_of_a_judge(
    scorer: Scorer, prompt: str | tuple[Message, ...]
) -> None:
    engine = FakeEngine(FakeBackend(script=SeededAnswers(answers=("x",), weights=(1,))))
    replies = []

    async def ask(name: str, prompt: str | tuple[Message, ...], params: SamplingParams) -> Sample:
        seed = rng.Random(len(replies)).getrandbits(16)
        asked = Request(id=f"{name}{len(replies)}", prompt=prompt, params=params, seed=seed)
        replies.append(await engine.generate(asked))
        return replies[-1]

    texts = ("7", "8", "9")
    samples = tuple(Sample(id=f"q/s{i}", text=text) for i, text in enumerate(texts))
    candidates = Candidates(samples=samples, answers=texts, ask=ask)
    scores = await scorer(Query(id="q", prompt=prompt), candidates)
    assert replies
    assert "x" not in {reply.text for reply in replies}
    assert not np.isnan(scores).any()
    assert len(set(scores.tolist())) > 1


def test_log_probabilities_differ_so_that_ranking_has_work() -> None:
    script = SeededAnswers(answers=("a",), weights=(1,))
    replies = {script(request(seed=seed)).logprobs for seed in range(1000)}
    assert len(replies) == 1000
    assert all(logprobs is not None and -2 < logprobs[0] <= -1 for logprobs in replies)


@pytest.mark.parametrize(
    ("answers", "weights"),
    [((), ()), (("a",), ()), (("a",), (1, 2)), (("a", "b"), (1, 0)), (("a",), (-1,))],
)
def test_weights_that_make_no_sense_are_refused(
    answers: tuple[str, ...], weights: tuple[int, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        SeededAnswers(answers=answers, weights=weights)
    rule = "hold one positive whole number an answer"
    assert str(caught.value) == f"weights must {rule}, got {weights!r}"


def test_settings_travel_to_other_processes_and_tell_what_they_are() -> None:
    backend = FakeBackend(script=SeededAnswers(answers=("7",), weights=(1,)), max_concurrency=9)
    assert pickle.loads(pickle.dumps(backend)) == backend
    other = FakeBackend(script=SeededAnswers(answers=("8",), weights=(1,)))
    assert backend.identity != other.identity
    assert (backend.max_concurrency, backend.gpus) == (9, 0)
