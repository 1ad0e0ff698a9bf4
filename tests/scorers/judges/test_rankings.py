"""Strengths: against a plain maximisation, and as relations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores
from nbest.scorers.judges.rankings import PRIOR, bradley_terry


def gradient(strengths: Scores, wins: NDArray[np.float64]) -> Scores:
    """The gradient of the log-posterior, which is strictly concave: it is 0 at the maximum only."""
    beats = 1 / (1 + np.exp(np.subtract.outer(strengths, strengths).T))
    games = wins + wins.T
    virtual = PRIOR - 2 * PRIOR / (1 + np.exp(-strengths))
    result: Scores = wins.sum(axis=1) - (games * beats).sum(axis=1) + virtual
    return result


@given(
    flat=st.integers(1, 5).flatmap(
        lambda n: st.lists(st.floats(0, 3), min_size=n * n, max_size=n * n)
    )
)
def test_it_is_the_maximum(flat: list[float]) -> None:
    num = int(len(flat) ** 0.5)
    wins = np.array(flat).reshape(num, num)
    np.fill_diagonal(wins, 0.0)
    assert np.abs(gradient(bradley_terry(wins), wins)).max() < 1e-6


def test_two_have_a_closed_form_where_the_prior_is_nothing() -> None:
    strengths = bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]), prior=1e-6)
    assert strengths[0] - strengths[1] == pytest.approx(np.log(3), abs=1e-4)


def test_whoever_wins_all_is_finite_and_first() -> None:
    strengths = bradley_terry(np.triu(np.ones((8, 8)), 1))
    assert np.isfinite(strengths).all()
    assert (np.diff(strengths) < 0).all()


def test_equal_records_tie_exactly() -> None:
    assert set(bradley_terry(np.full((5, 5), 0.5) - np.eye(5) / 2).tolist()) == {0.0}
    assert bradley_terry(np.zeros((0, 0))).shape == (0,)
