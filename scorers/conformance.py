"""What every scorer promises, as checks that users can run on scorers of their own.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_scorer(check):
        await check(MyScorer())

`check_scorer` runs them all. Each raises an AssertionError that says which promise is broken, and
shows the candidates. No test framework is needed, and the pools are always the same.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass, replace

import numpy as np

from nbest.orchestrator.protocols import Scorer, is_pointwise, score_bounds
from nbest.orchestrator.types import Candidates, Query, Scores, Status
from nbest.scorers.example_pools import TEXTS, pool, random_pools, sample
from nbest.scorers.sandboxes.heartbeat import longest_hold_s

Check = Callable[[Scorer], Awaitable[None]]

QUERY = Query(id="q17", prompt="Q: 3 + 4 =\nA:", meta={"tests": "assert True"})
HOSTILE = ("\0", "\ud800", "{" * 500, "\u202etxt", "<script>alert(1)</script>", "%s\\", "9" * 999)
LONG_TEXT = "The number {} has " + "many words. " * 1_660  # of 20,000 characters
MAX_HOLD_S = 0.05


async def check_scorer(scorer: Scorer) -> None:
    """Run every check, one after the other."""
    for check in CHECKS:
        await check(scorer)


async def gives_float64_n(scorer: Scorer) -> None:
    """Gives one float64 per candidate, for none, one and many."""
    for n in (0, 1, 2, 5):
        candidates = pool([sample(i, "7") for i in range(n)])
        scores = await scorer(QUERY, candidates)
        _require(scores.shape == (n,), f"shape ({n},), got {scores.shape}", candidates)
        _require(scores.dtype == np.float64, f"float64, got {scores.dtype}", candidates)


async def chooses_nobody_where_nobody_has_an_answer(scorer: Scorer) -> None:
    """Abstains, and does not fail, where all are truncated, cancelled or failed."""
    bad = [status for status in Status if status is not Status.OK]
    candidates = pool([replace(sample(i, "7"), status=status) for i, status in enumerate(bad)])
    index = best(candidates, await scorer(QUERY, candidates))
    _require(index is None, f"an abstention, got {index}", candidates)


async def chooses_only_what_has_an_answer(scorer: Scorer) -> None:
    """Chooses the good sample alone where those beside it have any other status."""
    for status in Status:
        others = [replace(sample(i, "8"), status=status) for i in range(1, 6)]
        candidates = pool([*others, sample(0, "7")])
        index = best(candidates, await scorer(QUERY, candidates))
        is_good = index is None or candidates.answers[index] is not None
        _require(is_good, f"no {status} sample chosen, got {index}", candidates)


async def permuting_permutes(scorer: Scorer) -> None:
    """Permutes its scores where the candidates are permuted, equal to the last bit."""
    rng = np.random.default_rng(17)
    for candidates in random_pools(40):
        order = rng.permutation(len(candidates))
        moved = pool([candidates.samples[i] for i in order])
        before, after = await scorer(QUERY, candidates), await scorer(QUERY, moved)
        _require(_equal(after, before[order]), f"{before[order]}, got {after}", moved)


async def equal_candidates_tie(scorer: Scorer) -> None:
    """Gives twins the same score."""
    candidates = pool([sample(0, "7"), sample(0, "7"), sample(1, "8", -2.0, -3.0)])
    scores = await scorer(QUERY, candidates)
    _require(_equal(scores[:1], scores[1:2]), f"equal scores for twins, got {scores}", candidates)


async def nan_costs_only_its_owner(scorer: Scorer) -> None:
    """Keeps the other scores where one sample has log-probabilities that are no numbers."""
    good = [sample(0, "7", -1.0, -2.0), sample(1, "8", -1.0, -1.5)]
    for broken in (np.nan, -np.inf):
        alone = await scorer(QUERY, pool(good))
        candidates = pool([*good, sample(2, "9", -1.0, broken)])
        scores = await scorer(QUERY, candidates)
        same = np.isnan(scores[:2]) == np.isnan(alone)
        _require(bool(same.all()), f"numbers where there were, got {scores}", candidates)
        needs = scorer.needs_logprobs is not None
        is_known = needs and np.isfinite(scores[2])
        _require(not is_known, f"nan at the end, got {scores}", candidates)


async def needs_logprobs_is_true(scorer: Scorer) -> None:
    """Gives nan everywhere without log-probabilities if it needs them, else the same scores."""
    for candidates in random_pools(20):
        bare = [replace(s, logprobs=None, top_logprobs=None) for s in candidates.samples]
        scores, without = await scorer(QUERY, candidates), await scorer(QUERY, pool(bare))
        expected = scores if scorer.needs_logprobs is None else np.full(len(bare), np.nan)
        _require(_equal(without, expected), f"{expected}, got {without}", candidates)


async def pointwise_is_true(scorer: Scorer) -> None:
    """Gives the same scores in any company, if it says that it looks at each candidate alone."""
    if not is_pointwise(scorer):
        return
    for candidates in random_pools(20):
        half = pool(candidates.samples[::2])
        scores, alone = await scorer(QUERY, candidates), await scorer(QUERY, half)
        has_answer = np.array([answer is not None for answer in half.answers], np.bool_)
        same = _equal(alone[has_answer], scores[::2][has_answer])
        _require(same, f"{scores[::2]} in other company, got {alone}", half)


async def score_bounds_are_true(scorer: Scorer) -> None:
    """Gives no score beyond the bounds that it says it keeps."""
    least, greatest = score_bounds(scorer) or (-math.inf, math.inf)
    for candidates in random_pools(20):
        scores = await scorer(QUERY, candidates)
        numbers = scores[~np.isnan(scores)]
        is_true = bool(np.all((numbers >= least) & (numbers <= greatest)))
        _require(is_true, f"scores from {least} to {greatest}, got {scores}", candidates)


async def hostile_texts_raise_nothing(scorer: Scorer) -> None:
    """Gives scores whatever a model writes."""
    candidates = pool([sample(i, text) for i, text in enumerate((*HOSTILE, *TEXTS))])
    scores = await scorer(QUERY, candidates)
    _require(scores.shape == (len(candidates),), f"scores, got shape {scores.shape}", candidates)


async def takes_ten_thousand(scorer: Scorer) -> None:
    """Scores large pools whole."""
    many = pool([sample(i, str(i % 17), -0.1 * (i % 7 + 1)) for i in range(10_000)])
    scores = await scorer(QUERY, many)
    _require(scores.shape == (10_000,), f"10,000 scores, got {scores.shape}", pool([]))


async def gives_way_to_others(scorer: Scorer) -> None:
    """Holds the event loop for less than 50 ms at a time, however long the texts are.

    Samples are drawn, stored and reported by the same loop.
    """
    texts = [LONG_TEXT.format(i % 32) for i in range(256)]
    candidates = pool([sample(i, text, -0.5, -0.25 * (i % 9)) for i, text in enumerate(texts)])
    held_s = math.inf
    for _ in range(3):  # what holds the loop does it again; a collection of garbage does not
        if held_s >= MAX_HOLD_S:
            held_s = await longest_hold_s(scorer(QUERY, candidates))
    _require(held_s < MAX_HOLD_S, f"at most {MAX_HOLD_S} s, it held it for {held_s}", pool([]))


async def leaves_its_input_alone(scorer: Scorer) -> None:
    """Leaves the candidates as they were, and gives the same scores when it is called again."""
    for candidates in random_pools(5):
        copy = replace(candidates)
        first, second = await scorer(QUERY, candidates), await scorer(QUERY, candidates)
        _require(candidates == copy, "unchanged candidates", candidates)
        _require(_equal(first, second), f"{first} again, got {second}", candidates)


async def travels(scorer: Scorer) -> None:
    """Has pickled copies that are equal and score alike: Ray sends it to other processes."""
    copy: Scorer = pickle.loads(pickle.dumps(scorer))
    _require(copy == scorer, f"an equal copy, got {copy!r}", pool([]))
    for candidates in random_pools(5):
        here, there = await scorer(QUERY, candidates), await copy(QUERY, candidates)
        _require(_equal(here, there), f"{here} from a copy, got {there}", candidates)


async def shows_its_settings(scorer: Scorer) -> None:
    """Is a frozen dataclass whose repr, its line in the log, holds every setting."""
    _require(is_dataclass(scorer), "a dataclass", pool([]))
    text = repr(scorer)
    for field in fields(scorer):  # type: ignore[arg-type] # it is one
        if field.repr:
            setting = f"{field.name}={getattr(scorer, field.name)!r}"
            _require(setting in text, f"a repr with {setting}, got {text}", pool([]))
    frozen = scorer.__dataclass_params__.frozen  # type: ignore[attr-defined] # of a dataclass
    _require(frozen, "a frozen dataclass", pool([]))


CHECKS: tuple[Check, ...] = (
    gives_float64_n,
    chooses_nobody_where_nobody_has_an_answer,
    chooses_only_what_has_an_answer,
    permuting_permutes,
    equal_candidates_tie,
    nan_costs_only_its_owner,
    needs_logprobs_is_true,
    pointwise_is_true,
    score_bounds_are_true,
    hostile_texts_raise_nothing,
    takes_ten_thousand,
    gives_way_to_others,
    leaves_its_input_alone,
    travels,
    shows_its_settings,
)


async def more_votes_never_lose(scorer: Scorer) -> None:
    """Keeps the winner where it gets one more vote, and never chooses an answer with fewer votes.

    A check for scorers that count votes of equal weight.
    """
    for candidates in random_pools(40):
        index = best(candidates, await scorer(QUERY, candidates))
        if index is None:
            continue
        answers = candidates.answers
        most = max(answers.count(answer) for answer in answers if answer is not None)
        _require(answers.count(answers[index]) == most, f"one with {most} votes", candidates)
        more = pool([*candidates.samples, candidates.samples[index]])
        again = best(more, await scorer(QUERY, more))
        same = again is not None and more.answers[again] == answers[index]
        _require(same, f"{answers[index]!r} once more", more)


def best(candidates: Candidates, scores: Scores) -> int | None:
    """The index that is chosen: the first with an answer and the highest score, or None."""
    eligible = [
        i
        for i, answer in enumerate(candidates.answers)
        if answer is not None and not np.isnan(scores[i])
    ]
    return max(eligible, key=lambda i: (scores[i], -i), default=None)


def _equal(one: Scores, two: Scores) -> bool:
    return np.array_equal(one, two, equal_nan=True)


def _require(holds: bool, promise: str, candidates: Candidates) -> None:
    if not holds:
        raise AssertionError(f"expected {promise}, for the answers {candidates.answers}")
