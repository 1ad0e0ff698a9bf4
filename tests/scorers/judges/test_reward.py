"""Selectors over a reward model: its rewards, and what keeps it from fooling us."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbest import FakeBackend, MajorityVote, MeanLogprob, Rewards
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Identity, Query, Sample, Scores, Status
from nbest.scorers.judges.reward import RewardModel, rewards_of, sigmoid
from nbest.scorers.votes.ranked import TopVote, top_weights
from nbest.scorers.votes.vote_and_score import BestOfMajority, Pessimistic

QUERY = Query(id="q", prompt="?")
MODEL = FakeBackend(script=Rewards(of=lambda response: [0.0]))


def among(*pairs: tuple[str | None, str]) -> Candidates:
    """Candidates with these answers and rewards; the text of each is its place."""
    rewards = {f"text {i}": reward for i, (_, reward) in enumerate(pairs)}

    async def rate(identity: Identity, responses: object) -> tuple[Sample, ...]:
        assert isinstance(responses, tuple)
        return tuple(Sample(id=text, text=rewards[text]) for text in responses)

    return Candidates(
        samples=tuple(Sample(id=text, text=text) for text in rewards),
        answers=tuple(answer for answer, _ in pairs),
        rate=rate,
    )


async def scores(scorer: object, *pairs: tuple[str | None, str]) -> list[float]:
    values: Scores = await scorer(QUERY, among(*pairs))  # type: ignore[operator]
    return values.tolist()


async def test_a_reward_is_the_score() -> None:
    values = await scores(RewardModel(MODEL), ("a", "[-1.5]"), ("b", "[2]"), (None, "[9]"))
    assert values[:2] == [-1.5, 2.0]
    assert math.isnan(values[2])


@pytest.mark.parametrize(
    ("aggregate", "score"), [("last", 0.5), ("min", 0.2), ("product", 0.09), ("mean", 1.6 / 3)]
)
async def test_steps_become_one_number(aggregate: str, score: float) -> None:
    scorer = RewardModel(MODEL, aggregate=aggregate)  # type: ignore[arg-type]
    assert await scores(scorer, ("a", "[0.9, 0.2, 0.5]")) == [pytest.approx(score)]
    assert await scores(scorer, ("a", "[0.25]")) == [0.25]


async def test_a_sigmoid_makes_probabilities_of_raw_scores() -> None:
    scorer = RewardModel(MODEL, scale="sigmoid", aggregate="min")
    assert await scores(scorer, ("a", "[0.0, 2.0]"), ("b", "[-800.0]")) == [0.5, 0.0]
    assert sigmoid(800.0) == 1.0
    assert sigmoid(1.0) + sigmoid(-1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["", "[]", "[NaN]", "[1, Infinity]", '["7"]', "[true]", "{", "{}"])
def test_what_is_no_number_says_nothing(text: str) -> None:
    assert rewards_of(Sample(id="r", text=text)) == ()


@pytest.mark.parametrize("status", [Status.ERROR, Status.CANCELLED, Status.UNPARSEABLE])
def test_a_failure_says_nothing(status: Status) -> None:
    assert rewards_of(Sample(id="r", text="[1]", status=status)) == ()


def test_a_response_that_was_cut_is_rated() -> None:
    assert rewards_of(Sample(id="r", text="[1.5]", status=Status.TRUNCATED)) == (1.5,)


async def test_without_a_model_it_says_what_to_do() -> None:
    bare = Candidates(samples=(Sample(id="r", text="a"),), answers=("a",))
    with pytest.raises(InputError, match="reward needs its model: use it in `nbest run`"):
        await RewardModel(MODEL)(QUERY, bare)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="aggregate must be one of last, min, product, mean"):
        RewardModel(MODEL, aggregate="max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale must be raw or sigmoid, got 'softmax'"):
        RewardModel(MODEL, scale="softmax")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        TopVote(by=MeanLogprob(), k=0)
    with pytest.raises(InputError, match=r"min_share must lie in \[0, 1\], got 1.5"):
        BestOfMajority(by=MeanLogprob(), min_share=1.5)
    with pytest.raises(InputError, match="alpha must be 0 or more, got -1"):
        Pessimistic(by=MeanLogprob(), alpha=-1)


POOL = (("a", "[5]"), ("b", "[4]"), ("b", "[3]"), ("c", "[2]"), ("c", "[1]"), ("c", "[0]"))


async def test_a_vote_among_the_best_lies_between_the_best_and_the_vote() -> None:
    by = RewardModel(MODEL)
    alone = await scores(TopVote(by=by, k=1), *POOL)
    assert alone[0] == 1.0
    assert all(math.isnan(score) for score in alone[1:])
    three = await scores(TopVote(by=by, k=3), *POOL)
    assert three[:3] == [1.0, 2.0, 2.0]
    every = await scores(TopVote(by=by, k=99), *POOL)
    shares = await scores(MajorityVote(), *POOL)
    assert every == [share * 6 for share in shares]


def test_ties_share_the_last_places() -> None:
    nan = math.nan
    assert top_weights(np.array([1.0, 1.0, 1.0]), 2) == pytest.approx([2 / 3] * 3)
    values = top_weights(np.array([nan, 0.0, 2.0, 1.0, 1.0]), 2)
    assert values == pytest.approx([nan, nan, 1.0, 0.5, 0.5], nan_ok=True)
    assert np.nansum(values) == 2


async def test_rare_answers_cannot_win_by_a_high_score() -> None:
    by = RewardModel(MODEL)
    values = await scores(BestOfMajority(by=by, min_share=0.3), *POOL)
    assert math.isnan(values[0])
    assert values[1:] == [4.0, 3.0, 2.0, 1.0, 0.0]
    # Where nothing is so frequent, the most frequent stand.
    values = await scores(BestOfMajority(by=by, min_share=0.9), *POOL)
    assert [math.isnan(score) for score in values] == [True] * 3 + [False] * 3


async def test_pessimism_takes_more_from_answers_with_fewer_samples() -> None:
    by = RewardModel(MODEL)
    none = await scores(Pessimistic(by=by, alpha=0.0), *POOL)
    assert none == [5.0, 3.5, 3.5, 1.0, 1.0, 1.0]
    some = await scores(Pessimistic(by=by, alpha=2.0), *POOL)
    cost = [a - b for a, b in zip(none, some, strict=True)]
    log = math.log(6)
    assert cost == pytest.approx([log, 2 * log / 3, 2 * log / 3, *[log / 2] * 3])
