"""Confidence from the likeliest tokens: signs, windows against brute force, what cannot be said."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import Confidence, SelfCertainty, WeightedVote, self_certainty
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query, Sample, TopLogprobs
from nbest.scorers.confidence.self_certainty import likeliest
from nbest.scorers.confidence.trace import Measure, token_confidence, trace_confidence, window_means

QUERY = Query(id="q", prompt="?")
PEAKED = np.log(np.array([[0.97, 0.01, 0.01, 0.01]] * 3, np.float32))
FLAT = np.log(np.full((3, 4), 0.25, np.float32))
TRACE = st.lists(st.floats(0, 20), min_size=1, max_size=30)


def sample(rows: list[list[float]], answer: str = "7") -> Sample:
    packed = array("f", (value for row in rows for value in row)).tobytes()
    k = len(rows[0]) if rows else 2
    return Sample(id="s", text=answer, top_logprobs=TopLogprobs(k=k, packed=packed))


def pool(*samples: Sample) -> Candidates:
    return Candidates(samples=samples, answers=tuple(s.text for s in samples))


# Self-certainty


def test_a_uniform_guess_has_no_certainty_and_a_peak_has_some() -> None:
    assert self_certainty(FLAT) == pytest.approx(0.0, abs=1e-6)
    expected = -np.mean(np.log([0.97, 0.01, 0.01, 0.01])) - math.log(4)
    assert self_certainty(PEAKED) == pytest.approx(expected, rel=1e-5)


def test_a_part_of_the_vocabulary_is_made_to_sum_to_1() -> None:
    np.testing.assert_allclose(self_certainty(PEAKED - 2.0), self_certainty(PEAKED), rtol=1e-5)


def test_it_is_the_divergence_from_uniform() -> None:
    uniform = np.full(4, 0.25)
    divergence = np.sum(uniform * (np.log(uniform) - PEAKED[0]))
    assert self_certainty(PEAKED) == pytest.approx(divergence, rel=1e-5)


def test_nothing_was_said_with_no_certainty() -> None:
    assert math.isnan(self_certainty(np.empty((0, 4), np.float32)))


# DeepConf


def test_confidence_is_high_where_few_tokens_have_all_the_probability() -> None:
    assert (token_confidence(PEAKED) > token_confidence(FLAT)).all()
    np.testing.assert_allclose(token_confidence(FLAT), math.log(4), rtol=1e-6)


@given(TRACE, st.integers(1, 40))
def test_windows_are_those_of_the_plain_loop(trace: list[float], window: int) -> None:
    width = min(window, len(trace))
    plain = [np.mean(trace[i : i + width]) for i in range(len(trace) - width + 1)]
    np.testing.assert_allclose(window_means(np.array(trace), window), plain, rtol=1e-9, atol=1e-9)


def test_long_traces_lose_no_precision() -> None:
    trace = np.random.default_rng(1).uniform(0, 20, 16_000)
    plain = [trace[i : i + 2048].mean() for i in range(16_000 - 2048 + 1)]
    np.testing.assert_allclose(window_means(trace, 2048), plain, rtol=1e-12)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("mean", 5.5), ("tail", 9.5), ("lowest", 1.5), ("bottom", 1.5)],
)
def test_measures_by_hand(measure: Measure, expected: float) -> None:
    trace = np.arange(1.0, 11.0)
    assert trace_confidence(trace, measure, 2) == pytest.approx(expected)


def test_the_bottom_is_the_mean_of_a_tenth_of_the_windows() -> None:
    trace = np.arange(1.0, 31.0)
    assert trace_confidence(trace, "bottom", 1) == pytest.approx(2.0)  # of 1, 2 and 3


@pytest.mark.parametrize("measure", ["mean", "tail", "lowest", "bottom"])
@given(trace=TRACE)
def test_a_trace_shorter_than_the_window_has_its_mean(measure: Measure, trace: list[float]) -> None:
    assert trace_confidence(np.array(trace), measure, 99) == pytest.approx(np.mean(trace))


def test_an_empty_trace_has_none() -> None:
    assert math.isnan(trace_confidence(np.empty(0), "lowest", 4))
    assert window_means(np.empty(0), 4).shape == (0,)


# The scorers


@pytest.mark.parametrize("scorer", [Confidence(k=2), SelfCertainty(k=2)], ids=repr)
async def test_what_cannot_be_said_is_nan(scorer: Confidence | SelfCertainty) -> None:
    scores = await scorer(
        QUERY,
        pool(
            sample([[-0.1, -3.0, -9.0]]),  # more than k are there
            Sample(id="s", text="7"),
            sample([[-0.1]]),
            sample([]),
            sample([[-0.1, -math.inf]]),
            sample([[-0.1, math.nan]]),
        ),
    )
    assert np.isfinite(scores).tolist() == [True, False, False, False, False, False]


async def test_only_the_k_likeliest_count() -> None:
    more, fewer = sample([[-0.1, -3.0, -9.0]]), sample([[-0.1, -3.0]])
    scores = await Confidence(k=2)(QUERY, pool(more, fewer))
    assert scores[0] == scores[1] == pytest.approx(1.55)


async def test_a_confident_minority_can_win_a_weighted_vote() -> None:
    sure, unsure = [[-0.01, -8.0]], [[-0.6, -0.8]]
    votes = pool(sample(sure, "8"), sample(unsure, "7"), sample(unsure, "7"))
    assert (await WeightedVote(by=Confidence(k=2))(QUERY, votes)).argmax() == 0


def test_likeliest_is_none_where_there_are_too_few() -> None:
    assert likeliest(sample([[-0.1, -3.0]]), 3) is None
    top = likeliest(sample([[-0.5, -3.0], [-0.25, -4.0]]), 1)
    assert top is not None
    assert top.tolist() == [[-0.5], [-0.25]]


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"measure": "best"}, "measure must be one of mean, tail, lowest, bottom, got 'best'"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"k": 21}, "k must lie in 1..20, got 21"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], rule: str) -> None:
    with pytest.raises(InputError) as caught:
        Confidence(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == rule


def test_self_certainty_needs_two_tokens_to_compare() -> None:
    with pytest.raises(InputError, match=r"k must lie in 2\.\.20, got 1"):
        SelfCertainty(k=1)
