"""Watching a sample as it grows gives the result of looking at the whole of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nbest.model_backend.confidence_floor import FloorWatch, falls_after
from nbest.orchestrator.sampling_params import ConfidenceFloor
from nbest.scorers.confidence.trace import token_confidence, window_means


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(1, 5),
)
def test_it_falls_at_the_first_window_below_the_level(
    seed: int, length: int, window: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    logprobs = -rng.exponential(2.0, (length, 5)).astype(np.float32)
    level = float(rng.uniform(1.0, 3.0))
    floor = ConfidenceFloor(level=level, window=window, k=k)
    means = window_means(token_confidence(logprobs[:, :k]), window)
    below = np.flatnonzero(means < level)
    expected = int(below[0]) + window if len(below) and length >= window else None
    assert falls_after(floor, logprobs.tolist()) == expected


def test_no_window_is_whole_before_it_is_full() -> None:
    watch = FloorWatch(ConfidenceFloor(level=1.0, window=3, k=1))
    for _ in range(2):
        watch.add([-0.1])
        assert not watch.fell
    watch.add([-0.1])
    assert (watch.fell, watch.seen) == (True, 3)
    watch.add([-99.0])
    assert watch.fell  # once and for all
