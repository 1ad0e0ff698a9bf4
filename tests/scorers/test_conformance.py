"""What every scorer promises, whatever it looks at. A new scorer joins by one line in SCORERS."""

import pickle
import subprocess
import sys
from array import array
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorers
from orchestrator.protocols import Scorer
from orchestrator.types import Candidates, Query, Sample, Status, TopLogprobs
from scorers import (
    AllOf,
    AmongValid,
    Borda,
    Confidence,
    First,
    FirstValid,
    JsonValid,
    LengthPenalisedLogprob,
    Longest,
    MajorityOfBests,
    MajorityVote,
    Matches,
    MeanLogprob,
    MinimumBayesRisk,
    Perplexity,
    Random,
    RoutedVote,
    SelfCertainty,
    Shortest,
    SqlValid,
    SumLogprob,
    WeightedVote,
    YamlValid,
)

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
    AmongValid(rule=YamlValid(), by=MeanLogprob()),
    AmongValid(rule=SqlValid(check="parse"), by=Shortest()),
    LengthPenalisedLogprob(),
    Perplexity(),
    SelfCertainty(k=3),
    Confidence(k=3, window=2),
    WeightedVote(by=Confidence(k=3, measure="mean"), transform="raw"),
    WeightedVote(by=MeanLogprob(), transform="rank"),
    WeightedVote(by=MeanLogprob(), transform="softmax", temperature=0.5),
    Borda(by=MeanLogprob(), power=1.2),
    MajorityOfBests(by=MeanLogprob()),
    RoutedVote(threshold=0.6, otherwise=Shortest()),
    MinimumBayesRisk(utility="f1"),
    MinimumBayesRisk(utility="exact"),
)
QUERY = Query(id="q17", prompt="Q: 3 + 4 =\nA:")
TEXTS = ("7", "8", "", "so 7", '{"x": 1}', '{"x": "1"}', "{" * 50, "\ud800")

TOP = st.lists(st.floats(-9, 0, width=32), max_size=4).map(
    lambda row: TopLogprobs(k=3, packed=array("f", sorted(row * 3, reverse=True)).tobytes())
)

# What a candidate is worth to these depends on who else is there.
AMONG_OTHERS = (WeightedVote, Borda, MajorityOfBests)

every_scorer = pytest.mark.parametrize("scorer", SCORERS, ids=repr)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    logprob = st.floats(max_value=0.0, allow_nan=False) | st.just(np.nan)
    return Sample(
        id=f"run/q17/s{draw(st.integers(0, 40))}",
        text=draw(st.sampled_from(TEXTS)),
        logprobs=draw(st.none() | st.lists(logprob, max_size=4).map(tuple)),
        status=draw(st.sampled_from(Status)),
        generated_tokens=draw(st.integers(0, 4)),
        top_logprobs=draw(st.none() | TOP),
    )


def pool(samples: list[Sample]) -> Candidates:
    """The answer of a sample is its text; one that is not OK has none."""
    answers = (s.text if s.text and s.status is Status.OK else None for s in samples)
    return Candidates(samples=tuple(samples), answers=tuple(answers))


def ok(i: int, text: str, *logprobs: float, tokens: int = 1) -> Sample:
    top = None
    if logprobs:
        rows = array("f", (v for logprob in logprobs for v in (logprob, logprob - 1, logprob - 2)))
        top = TopLogprobs(k=3, packed=rows.tobytes())
    return Sample(
        id=f"run/q17/s{i}",
        text=text,
        logprobs=logprobs,
        top_logprobs=top,
        generated_tokens=tokens,
    )


def test_every_public_scorer_is_held_to_this_suite() -> None:
    public = [getattr(scorers, name) for name in scorers.__all__]
    assert {c for c in public if hasattr(c, "needs_logprobs")} == {type(s) for s in SCORERS}


@every_scorer
async def test_scores_are_float64_n(scorer: Scorer) -> None:
    for n in (0, 1, 2, 5):
        scores = await scorer(QUERY, pool([ok(i, "7", -1.0) for i in range(n)]))
        assert scores.shape == (n,)
        assert scores.dtype == np.float64


@every_scorer
async def test_nothing_to_vote_for(scorer: Scorer) -> None:
    cancelled = [replace(ok(i, "7", -1.0), status=Status.CANCELLED) for i in range(3)]
    assert (await scorer(QUERY, pool(cancelled))).shape == (3,)


@every_scorer
async def test_one_good_candidate_gets_a_number(scorer: Scorer) -> None:
    for text in ("7", '{"x": 7}'):
        scores = await scorer(QUERY, pool([ok(0, text, -1.0)]))
        if isinstance(scorer, FirstValid):
            assert np.isfinite(scores[0]) == (text.isdigit() == (scorer.json_schema is None))
        elif isinstance(scorer, AmongValid) and isinstance(scorer.rule, SqlValid):
            assert np.isnan(scores[0])
        else:
            assert np.isfinite(scores[0])


@every_scorer
async def test_equal_samples_tie(scorer: Scorer) -> None:
    twins = pool([ok(0, "7", -1.0), ok(0, "7", -1.0), ok(1, "8", -2.0, -3.0, tokens=2)])
    scores = await scorer(QUERY, twins)
    np.testing.assert_array_equal(scores[0], scores[1])


@every_scorer
async def test_nan_logprobs_cost_only_the_candidate_that_has_them(scorer: Scorer) -> None:
    good, bad = ok(0, "7", -1.0, -2.0), ok(1, "8", -1.0, np.nan)
    alone = await scorer(QUERY, pool([good, ok(1, "8", -1.0, -1.0)]))
    scores = await scorer(QUERY, pool([good, bad]))
    assert np.isfinite(scores[0]) == np.isfinite(alone[0])
    if not isinstance(scorer, AMONG_OTHERS):
        np.testing.assert_array_equal(scores[0], alone[0])
    assert not (scorer.needs_logprobs is not None and np.isfinite(scores[1]))


@every_scorer
@settings(max_examples=40, deadline=None)
@given(data=st.data())
async def test_permuting_candidates_permutes_scores(scorer: Scorer, data: st.DataObject) -> None:
    original = data.draw(st.lists(samples(), max_size=12))
    order = data.draw(st.permutations(range(len(original))))
    scores = await scorer(QUERY, pool(original))
    permuted = await scorer(QUERY, pool([original[i] for i in order]))
    np.testing.assert_array_equal(permuted, scores[np.array(order, np.intp)])


@every_scorer
@settings(max_examples=40, deadline=None)
@given(pool_samples=st.lists(samples(), min_size=1, max_size=12))
async def test_needs_logprobs_tells_the_truth(scorer: Scorer, pool_samples: list[Sample]) -> None:
    scores = await scorer(QUERY, pool(pool_samples))
    bare = [replace(s, logprobs=None, top_logprobs=None) for s in pool_samples]
    without = await scorer(QUERY, pool(bare))
    expected = np.full(len(without), np.nan) if scorer.needs_logprobs is not None else scores
    np.testing.assert_array_equal(without, expected)


@every_scorer
@pytest.mark.timeout(30)
async def test_ten_thousand_candidates(scorer: Scorer) -> None:
    many = [ok(i, str(i % 97), *(-0.1,) * (i % 7), tokens=i % 7) for i in range(10_000)]
    assert (await scorer(QUERY, pool(many))).shape == (10_000,)


@every_scorer
async def test_a_pickled_copy_scores_alike(scorer: Scorer) -> None:
    copy = pickle.loads(pickle.dumps(scorer))
    candidates = pool([ok(i, str(i % 2), -1.0 * i, tokens=i) for i in range(5)])
    assert copy == scorer
    np.testing.assert_array_equal(await copy(QUERY, candidates), await scorer(QUERY, candidates))


@every_scorer
def test_repr_shows_every_setting(scorer: Scorer) -> None:
    settings_shown = [f"{f.name}={getattr(scorer, f.name)!r}" for f in fields(scorer)]  # type: ignore[arg-type]
    assert repr(scorer) == f"{type(scorer).__name__}({', '.join(settings_shown)})"


@every_scorer
def test_settings_cannot_change(scorer: Scorer) -> None:
    with pytest.raises((AttributeError, TypeError)):
        scorer.seed = 5  # type: ignore[attr-defined]


def test_importing_scorers_is_light() -> None:
    code = "import sys, scorers; print({'jsonschema', 'ray', 'torch', 'vllm'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
