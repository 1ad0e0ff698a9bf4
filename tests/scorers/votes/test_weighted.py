"""Votes with weights: by hand, as relations, and against brute force over all subsets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import (
    ArmWeight,
    Borda,
    First,
    LengthPenalisedLogprob,
    Longest,
    MajorityOfBests,
    MajorityVote,
    MeanLogprob,
    Perplexity,
    Random,
    RoutedVote,
    Shortest,
    SumLogprob,
    WeightedVote,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.types import Candidates, Query, Sample, Scores
from nbest.scorers.votes.majority import answer_totals
from nbest.scorers.votes.ranked import best_of_m_chances, borda_weights, tie_groups
from nbest.scorers.votes.weighted import Transform, log_odds, rank_weights, softmax

QUERY = Query(id="q", prompt="?")
NAN = math.nan
SCORES = st.lists(st.sampled_from([NAN, -1.0, 0.0, 0.25, 0.5, 0.5, 2.0]), min_size=1, max_size=9)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedScores:
    """Scores by the text of the sample, for tests."""

    scores: Mapping[str, float]
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.array([self.scores[s.text] for s in candidates.samples], np.float64)


def pool(*pairs: tuple[str | None, float]) -> tuple[Candidates, FixedScores]:
    """Candidates with those answers, and the scorer that gives them those scores."""
    samples = tuple(Sample(id=f"s{i}", text=str(i)) for i in range(len(pairs)))
    candidates = Candidates(samples=samples, answers=tuple(answer for answer, _ in pairs))
    return candidates, FixedScores(scores={str(i): score for i, (_, score) in enumerate(pairs)})


def close(scores: Scores, *expected: float) -> bool:
    return np.allclose(scores, expected, rtol=1e-12, atol=0, equal_nan=True)


def array(*scores: float) -> Scores:
    return np.array(scores, np.float64)


# Ranks and totals


@given(SCORES)
def test_tie_groups_count_the_lower_and_the_equal(scores: list[float]) -> None:
    lower, equal = tie_groups(array(*scores))
    for score, below, same in zip(scores, lower, equal, strict=True):
        assert below == sum(other < score for other in scores)
        assert same == sum(other == score for other in scores)


def test_totals_leave_out_what_is_no_vote() -> None:
    totals = answer_totals(["7", "8", None, "7", "9"], array(1.0, 2.0, 9.0, 0.5, NAN))
    assert close(totals, 1.5, 2.0, NAN, 1.5, NAN)


# Weighted votes


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("raw", (3.0, 4.0, NAN, 3.0)),
        ("rank", (1.0, 1.0, NAN, 1.0)),
        ("softmax", ((1 + math.e) / (1 + math.e + math.e**3), 0, NAN, 0)),
    ],
)
async def test_the_weights_of_an_answer_are_added_up(
    transform: Transform, expected: tuple[float, ...]
) -> None:
    candidates, by = pool(("7", 1.0), ("8", 4.0), (None, 9.0), ("7", 2.0))
    scores = await WeightedVote(by=by, transform=transform)(QUERY, candidates)
    if transform == "softmax":
        expected = (expected[0], 1 - expected[0], NAN, expected[0])
    assert close(scores, *expected)


def test_the_weights_themselves() -> None:
    assert close(rank_weights(array(0.5, 0.1, NAN, 0.5)), 2.5 / 3, 1 / 3, NAN, 2.5 / 3)
    assert close(softmax(array(0.0, NAN, math.log(3.0))), 0.25, NAN, 0.75)
    assert close(softmax(array(-math.inf, 0.0)), 0.0, 1.0)
    assert close(softmax(array(math.inf, 0.0, math.inf)), 0.5, 0.0, 0.5)
    assert close(log_odds(array(0.5, 0.75, NAN)), 0.0, math.log(3.0), NAN)
    assert softmax(array()).shape == rank_weights(array()).shape == (0,)


async def test_softmax_gets_sharper_as_it_cools() -> None:
    candidates, by = pool(("7", 1.0), ("7", 1.0), ("8", 2.0))
    warm = WeightedVote(by=by, transform="softmax", temperature=10.0)
    cold = WeightedVote(by=by, transform="softmax", temperature=0.1)
    assert (await select(QUERY, candidates, warm)).answer == "7"
    assert (await select(QUERY, candidates, cold)).answer == "8"


@pytest.mark.parametrize(
    ("transform", "score", "rule"),
    [
        ("raw", -1.5, "be finite and at least 0 to be added up as they are"),
        ("raw", math.inf, "be finite and at least 0"),
        ("log_odds", 1.0, "be probabilities above 0 and below 1"),
        ("log_odds", 0.0, "be probabilities above 0 and below 1"),
    ],
)
async def test_scores_that_are_no_weights_are_refused(
    transform: Transform, score: float, rule: str
) -> None:
    candidates, by = pool(("7", 0.5), ("8", score))
    with pytest.raises(InputError, match=f"by: scores must {rule}.* got {score}"):
        await WeightedVote(by=by, transform=transform)(QUERY, candidates)


async def test_the_score_of_a_candidate_without_an_answer_cannot_be_wrong() -> None:
    candidates, by = pool(("7", 0.5), (None, -3.0))
    assert close(await WeightedVote(by=by)(QUERY, candidates), 0.5, NAN)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 9)), min_size=1, max_size=8))
async def test_more_support_never_loses(pairs: list[tuple[str, float]]) -> None:
    for transform in ("raw", "softmax"):
        candidates, by = pool(*pairs)
        winner = (await select(QUERY, candidates, WeightedVote(by=by, transform=transform))).answer
        candidates, by = pool(*pairs, (str(winner), 1.0))
        again = await select(QUERY, candidates, WeightedVote(by=by, transform=transform))
        assert again.answer == winner


@pytest.mark.parametrize("transform", ["raw", "rank", "softmax"])
@given(answers=st.lists(st.sampled_from(["a", "b", "c", None]), max_size=9))
async def test_equal_weights_make_it_a_plain_vote(
    transform: Transform, answers: list[str | None]
) -> None:
    candidates, by = pool(*((answer, 0.7) for answer in answers))
    plain = await select(QUERY, candidates, MajorityVote())
    weighted = await select(QUERY, candidates, WeightedVote(by=by, transform=transform))
    counts = Counter(a for a in answers if a is not None)
    assert counts[str(plain.answer)] == counts[str(weighted.answer)]


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"transform": "sum"}, "transform must be one of raw, rank, softmax, log_odds, got 'sum'"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], rule: str) -> None:
    with pytest.raises(InputError) as caught:
        WeightedVote(by=First(), **settings)  # type: ignore[arg-type]
    assert str(caught.value) == rule


@pytest.mark.parametrize(
    ("by", "transform"),
    [
        (MeanLogprob(), "raw"),
        (SumLogprob(), "raw"),
        (LengthPenalisedLogprob(), "raw"),
        (Perplexity(), "log_odds"),
        (Shortest(), "raw"),
        (Longest(), "log_odds"),
    ],
)
def test_a_transform_that_no_score_can_fit_is_refused_at_once(
    by: Scorer, transform: Transform
) -> None:
    with pytest.raises(InputError, match=r"transform must be rank or softmax with scores from "):
        WeightedVote(by=by, transform=transform)
    WeightedVote(by=by, transform="rank")


@pytest.mark.parametrize("by", [MajorityVote(), Longest(), Random(), FixedScores(scores={})])
def test_a_transform_that_may_fit_is_taken(by: Scorer) -> None:
    assert WeightedVote(by=by).transform == "raw"


def test_what_it_wraps_says_which_logprobs_are_needed() -> None:
    by = FixedScores(scores={}, needs_logprobs=5)
    wraps = [WeightedVote(by=by), Borda(by=by), MajorityOfBests(by=by)]
    assert [w.needs_logprobs for w in wraps] == [5, 5, 5]
    assert RoutedVote(threshold=0.5, otherwise=by).needs_logprobs == 5


# Borda


def test_borda_weights_by_hand() -> None:
    assert close(borda_weights(array(0.3, 0.9, 0.1), 1.0), 2, 3, 1)
    assert close(borda_weights(array(0.3, 0.9, 0.1), 2.0), 4, 9, 1)
    assert close(borda_weights(array(0.3, 0.3, NAN, 0.1), 2.0), 6.5, 6.5, NAN, 1)


@given(SCORES)
def test_borda_with_power_0_is_plurality(scores: list[float]) -> None:
    weights = borda_weights(array(*scores), 0.0)
    assert all(math.isnan(s) or w == 1.0 for s, w in zip(scores, weights, strict=True))


async def test_a_high_power_lets_the_best_decide() -> None:
    candidates, by = pool(("7", 0.1), ("7", 0.2), ("7", 0.3), ("8", 0.9))
    assert (await select(QUERY, candidates, Borda(by=by))).answer == "7"
    assert (await select(QUERY, candidates, Borda(by=by, power=9.0))).answer == "8"


# Majority of the bests


def chances_by_brute_force(scores: list[float], m: int) -> list[float]:
    """Every subset of m, its best, ties shared."""
    known = [i for i, score in enumerate(scores) if not math.isnan(score)]
    subsets = list(combinations(known, min(m, len(known))))
    chances = [NAN if math.isnan(score) else 0.0 for score in scores]
    for subset in subsets:
        highest = max((scores[i] for i in subset), default=NAN)
        best = [i for i in subset if scores[i] == highest]
        for i in best:
            chances[i] += 1 / len(best) / len(subsets)
    return chances


@given(SCORES, st.integers(1, 10))
def test_the_chances_are_those_over_all_subsets(scores: list[float], m: int) -> None:
    expected = chances_by_brute_force(scores, m)
    np.testing.assert_allclose(
        best_of_m_chances(array(*scores), m), expected, rtol=1e-9, atol=1e-12
    )


async def test_m_lies_between_the_vote_and_the_best() -> None:
    pairs = [("7", 0.1)] * 6 + [("8", 0.5)] * 3 + [("9", 0.9)]
    candidates, by = pool(*pairs)
    chosen = [
        (await select(QUERY, candidates, MajorityOfBests(by=by, m=m))).answer for m in (1, 3, 10)
    ]
    assert chosen == ["7", "8", "9"]


async def test_the_default_m_is_the_root_of_the_number_of_candidates() -> None:
    for n, m in ((1, 1), (4, 2), (5, 3), (9, 3), (10, 4)):
        candidates, by = pool(*(("78"[i % 2], i / 10) for i in range(n)), (None, 5.0))
        default = await MajorityOfBests(by=by)(QUERY, candidates)
        np.testing.assert_array_equal(default, await MajorityOfBests(by=by, m=m)(QUERY, candidates))


# The routed vote


@pytest.mark.parametrize(("threshold", "answer"), [(0.6, "7"), (0.61, "8")])
async def test_a_vote_that_is_not_clear_enough_is_left_to_the_other(
    threshold: float, answer: str
) -> None:
    candidates, _ = pool(("8", 0), ("7", 0), ("7", 0), ("8", 0), ("7", 0), (None, 0))
    assert (await select(QUERY, candidates, RoutedVote(threshold=threshold))).answer == answer


def armed(arms: str, answers: str) -> Candidates:
    samples = tuple(Sample(id=f"r/q/s{i}", text="", arm=arm) for i, arm in enumerate(arms))
    return Candidates(samples=samples, answers=tuple(answers))


@pytest.mark.parametrize(
    ("weights", "answer"),
    [
        ({"a": 1, "b": 1}, "7"),
        ({"a": 1, "b": 2}, "9"),
        ({"a": 1, "b": 1.5}, "7"),  # three against three: the first one wins
        ({"a": 0.1, "b": 1}, "9"),
    ],
)
async def test_votes_count_by_their_arm(weights: Mapping[str, float], answer: str) -> None:
    vote = WeightedVote(by=ArmWeight(weights=weights))
    selection = await select(QUERY, armed("aaabb", "77799"), vote)
    assert selection.answer == answer


@pytest.mark.parametrize("arms", ["ab", "a", "ac"])
async def test_an_arm_without_a_weight_is_refused(arms: str) -> None:
    with pytest.raises(InputError, match="weights must name all arms"):
        await ArmWeight(weights={"b": 1, "c": 1})(QUERY, armed(arms, "7" * len(arms)))
    nobody = Candidates(samples=(Sample(id="r/q/s0", text=""),), answers=("7",))
    with pytest.raises(InputError, match="a sample that no arm has drawn"):
        await ArmWeight(weights={"b": 1})(QUERY, nobody)


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": -1.0}, {"a": math.inf}, {"a": NAN}])
def test_wrong_weights_of_arms_are_refused(weights: Mapping[str, float]) -> None:
    with pytest.raises(InputError, match="weights must"):
        ArmWeight(weights=weights)
