"""What every scorer promises, whatever it looks at. A new scorer joins by one line in SCORERS."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbest
from nbest import (
    AllOf,
    AmongValid,
    ArmWeight,
    BestOfMajority,
    Borda,
    Confidence,
    Ensemble,
    First,
    FirstValid,
    GenSelect,
    JsonValid,
    Judge,
    LengthPenalisedLogprob,
    Likelihood,
    Longest,
    MajorityOfBests,
    MajorityVote,
    Matches,
    MeanLogprob,
    MinimumBayesRisk,
    Perplexity,
    Pessimistic,
    Random,
    RewardModel,
    RoutedVote,
    SelfCertainty,
    Shortest,
    SqlValid,
    StoredScore,
    SumLogprob,
    TopVote,
    Tournament,
    UniversalVote,
    UserChoice,
    WeightedVote,
    YamlValid,
)
from nbest.model_backend.fake.rewards import fake_rewards
from nbest.orchestrator.protocols import NamedModel, Scorer
from nbest.orchestrator.query.selection import choose
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.conformance import (
    CHECKS,
    QUERY,
    Check,
    best,
    check_scorer,
    more_votes_never_lose,
)
from nbest.scorers.example_pools import pool, random_pools, sample
from nbest.scorers.structured.layered import PlainFirst

OTHER = NamedModel(name="other", settings=fake_rewards())
SCHEMA = '{"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}}'

# The types are the test, under mypy: each class is a Scorer.
SCORERS: tuple[Scorer, ...] = (
    First(),
    Random(seed=3),
    MajorityVote(),
    MeanLogprob(),
    SumLogprob(),
    Shortest(),
    Longest(),
    FirstValid(regex=r"-?\d+"),
    FirstValid(json_schema=SCHEMA),
    FirstValid(rule=AllOf(rules=(Matches(pattern=r".*\d.*"), Matches(pattern=r"\d+")))),
    AmongValid(rule=JsonValid(), by=MajorityVote()),
    AmongValid(rule=JsonValid(schema=SCHEMA), by=StoredScore(name="verifier")),
    AmongValid(rule=Matches(pattern=".*"), by=RewardModel(fake_rewards())),
    AmongValid(rule=YamlValid(), by=MeanLogprob()),
    AmongValid(rule=SqlValid(check="parse"), by=Shortest()),
    LengthPenalisedLogprob(),
    Perplexity(),
    SelfCertainty(k=3),
    Confidence(k=3, window=2),
    WeightedVote(by=Confidence(k=3, measure="mean"), transform="raw"),
    WeightedVote(by=MeanLogprob(), transform="rank"),
    ArmWeight(weights={"": 2.0}),
    WeightedVote(by=ArmWeight(weights={"": 2.0})),
    WeightedVote(by=MeanLogprob(), transform="softmax", temperature=0.5),
    Borda(by=MeanLogprob(), power=1.2),
    MajorityOfBests(by=MeanLogprob()),
    RoutedVote(threshold=0.6, otherwise=Shortest()),
    MinimumBayesRisk(utility="f1"),
    MinimumBayesRisk(utility="exact"),
    Judge(),
    Judge(by="answer", scale=9),
    Tournament(),
    Tournament(kind="league", swap=False),
    Tournament(kind="bradley_terry", opponents=4),
    Tournament(kind="pivots", pivots=1),
    PlainFirst(by=MajorityVote()),
    UniversalVote(),
    GenSelect(window=3),
    Judge(model=OTHER),
    Tournament(kind="league", opponents=2, model=OTHER),
    UniversalVote(model=OTHER),
    Ensemble(by=(Judge(), Judge(criterion="Is it short?", model=OTHER)), weights=(2, 0.5)),
    Ensemble(by=(Judge(), RewardModel(fake_rewards())), combine="mean"),
    Ensemble(by=(MeanLogprob(), Shortest(), MajorityVote())),
    Likelihood(OTHER),
    Likelihood(OTHER, of="least"),
    UserChoice(chosen={"q17": "run/q17/s1"}),
    RewardModel(fake_rewards()),
    StoredScore(name="verifier"),
    TopVote(by=RewardModel(fake_rewards()), k=3),
    BestOfMajority(by=RewardModel(fake_rewards()), min_share=0.3),
    Pessimistic(by=RewardModel(fake_rewards()), alpha=0.5),
    WeightedVote(by=RewardModel(fake_rewards(), scale="sigmoid", aggregate="product")),
)

# Those that count votes, all of the same weight.
VOTES: tuple[Scorer, ...] = (
    MajorityVote(),
    MinimumBayesRisk(utility="exact"),
    RoutedVote(threshold=0.0),
    AmongValid(rule=Matches(pattern="(?s).*"), by=MajorityVote()),
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("scorer", SCORERS, ids=repr)
async def test_a_scorer_keeps_its_promises(scorer: Scorer, check: Check) -> None:
    await check(scorer)


ALWAYS = Matches(pattern="(?s).*")
COMBINATORS: tuple[Callable[[Scorer], Scorer], ...] = (
    lambda by: AmongValid(rule=ALWAYS, by=by),
    lambda by: AmongValid(rule=AllOf(rules=(ALWAYS, ALWAYS)), by=by),
    lambda by: RoutedVote(threshold=1.0, otherwise=by),
    lambda by: TopVote(by=by, k=100),
    lambda by: WeightedVote(by=by, transform="rank"),
    lambda by: BestOfMajority(by=by, min_share=0.0),
    lambda by: Pessimistic(by=by),
    lambda by: MajorityOfBests(by=by),
    lambda by: Borda(by=by),
)


@pytest.mark.parametrize("scorer", SCORERS, ids=repr)
async def test_a_scorer_works_inside_every_other(scorer: Scorer) -> None:
    """A part sees all that the whole does: calls, ratings and stored scores."""
    for candidates in random_pools(4):
        alone = await scorer(QUERY, candidates)
        has_answer = np.array([answer is not None for answer in candidates.answers], np.bool_)
        is_scored = has_answer & ~np.isnan(alone)
        for combined in COMBINATORS:
            outer = combined(scorer)
            inside = await outer(QUERY, candidates)
            assert not np.isnan(inside[is_scored]).any(), outer
            if isinstance(outer, AmongValid):
                assert np.array_equal(inside[is_scored], alone[is_scored]), outer


@pytest.mark.parametrize("scorer", VOTES, ids=repr)
async def test_a_vote_is_won_by_votes(scorer: Scorer) -> None:
    await more_votes_never_lose(scorer)


def test_every_public_scorer_is_held_to_this_suite() -> None:
    public = {getattr(nbest, name) for name in nbest.__all__} - {Scorer}
    assert {c for c in public if hasattr(c, "needs_logprobs")} == {type(s) for s in SCORERS}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([np.nan, -np.inf, 0.0, 0.0, 1.0]), max_size=8), st.data())
def test_the_plain_choice_is_that_of_a_run(scores: list[float], data: st.DataObject) -> None:
    texts = data.draw(
        st.lists(st.sampled_from(["7", ""]), min_size=len(scores), max_size=len(scores))
    )
    candidates = pool([sample(i, text) for i, text in enumerate(texts)])
    array = np.array(scores, np.float64)
    assert best(candidates, array) == choose(candidates, array).index


# Each check can fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A scorer that breaks one promise: `how` says what it gives instead of good scores."""

    how: Callable[[Candidates], Scores | Awaitable[Scores]]
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        scores = self.how(candidates)
        return scores if isinstance(scores, np.ndarray) else await scores


def lengths(candidates: Candidates) -> Scores:
    return np.array([float(len(s.text)) for s in candidates.samples], np.float64)


def one_too_many(candidates: Candidates) -> Scores:
    return np.zeros(len(candidates) + 1)


def by_place(candidates: Candidates) -> Scores:
    return np.arange(len(candidates), dtype=np.float64)


def spoilt_by_nan(candidates: Candidates) -> Scores:
    total = sum(sum(s.logprobs or ()) for s in candidates.samples)
    return lengths(candidates) * (1.0 if np.isfinite(total) else np.nan)


def by_logprobs(candidates: Candidates) -> Scores:
    return np.array([sum(s.logprobs or (0.0,)) for s in candidates.samples], np.float64)


def holds_the_loop(candidates: Candidates) -> Scores:
    ends_s = time.thread_time() + 0.1 * any(len(s.text) > 10_000 for s in candidates.samples)
    while time.thread_time() < ends_s:
        continue
    return lengths(candidates)


def fails_at_surrogates(candidates: Candidates) -> Scores:
    return np.array([float(len(s.text.encode())) for s in candidates.samples], np.float64)


def overwrites(candidates: Candidates) -> Scores:
    object.__setattr__(candidates, "answers", ("x",) * len(candidates))
    return lengths(candidates)


class Unsettled:
    """Neither a dataclass nor frozen."""

    needs_logprobs: ClassVar[int | None] = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return lengths(candidates)


@pytest.mark.parametrize(
    ("scorer", "name"),
    [
        (Broken(how=one_too_many), "gives_float64_n"),
        (Broken(how=by_place), "permuting_permutes"),
        (Broken(how=by_place), "equal_candidates_tie"),
        (Broken(how=spoilt_by_nan), "nan_costs_only_its_owner"),
        (Broken(how=by_logprobs), "needs_logprobs_is_true"),
        (Broken(how=by_logprobs, needs_logprobs=0), "needs_logprobs_is_true"),
        (Broken(how=overwrites), "leaves_its_input_alone"),
        (Broken(how=holds_the_loop), "gives_way_to_others"),
        (Unsettled(), "travels"),
        (Unsettled(), "shows_its_settings"),
    ],
)
async def test_a_broken_scorer_is_found(scorer: Scorer, name: str) -> None:
    (check,) = [check for check in CHECKS if check.__name__ == name]
    with pytest.raises(AssertionError, match="expected"):
        await check(scorer)


async def test_what_a_broken_scorer_raises_comes_through() -> None:
    broken = Broken(how=fails_at_surrogates)
    with pytest.raises(UnicodeEncodeError):
        await check_scorer(broken)


async def test_a_vote_that_counts_against_support_is_found() -> None:
    def rarest(candidates: Candidates) -> Scores:
        return np.array([-candidates.answers.count(a) for a in candidates.answers], np.float64)

    with pytest.raises(AssertionError, match="votes"):
        await more_votes_never_lose(Broken(how=rarest))


def test_the_pools_hold_what_the_checks_are_about() -> None:
    pools = list(random_pools(40))
    samples = [s for candidates in pools for s in candidates.samples]
    assert {len(candidates) for candidates in pools} >= {0, 1, 12}
    assert len({s.status for s in samples}) == 5
    assert any(s.logprobs is None for s in samples)
    assert len({s.text for s in samples}) < len(samples) / 4  # many ties
    assert replace(samples[0]) == samples[0]


def test_importing_scorers_is_light() -> None:
    heavy = "{'jsonschema', 'ray', 'torch', 'vllm', 'scipy', 'sympy', 'duckdb', 'sqlglot', 'yaml'}"
    code = f"""
import importlib, pkgutil, sys
import nbest.scorers
modules = pkgutil.walk_packages(nbest.scorers.__path__, "nbest.scorers.")
names = [importlib.import_module(module.name).__name__ for module in modules]
print(len(names) > 40, {heavy} & set(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True set()"
