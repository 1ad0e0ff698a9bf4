"""DeepConf replayed: what is computed once for all orders is what is computed sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from nbest.experiments.analysis.replay.deep_conf import ReplayedDeepConf
from nbest.model_backend.confidence_floor import falls_after
from nbest.orchestrator.sampling_params import ConfidenceFloor
from nbest.orchestrator.types import Sample, TopLogprobs


def trace(rng: np.random.Generator, length: int, k: int) -> Sample:
    """A sample that is sure and unsure by turns."""
    spread = 1 + np.sin(np.arange(length) / 9)[:, None]
    top = -np.sort(spread * rng.exponential(1.0, (length, k))).astype(np.float32)
    return Sample(id=f"s{length}", text="", top_logprobs=TopLogprobs(k=k, packed=top.tobytes()))


@pytest.mark.parametrize("length", [3, 8, 60, 200])
@pytest.mark.parametrize("seed", range(5))
def test_a_trace_falls_where_a_watch_of_each_position_says(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample, traces = trace(rng, length, 6), ReplayedDeepConf(window=8, k=4).traces()
    assert sample.top_logprobs is not None
    positions = sample.top_logprobs.array().tolist()
    fallen = 0
    for level in rng.uniform(0.3, 2.5, 20):
        floor = ConfidenceFloor(level=level, window=8, k=4)
        plain = falls_after(floor, positions)
        assert traces.falls_after(sample, level) == plain
        fallen += plain is not None
    assert fallen > 0 if length >= 8 else fallen == 0


def test_without_likeliest_tokens_nothing_falls() -> None:
    traces = ReplayedDeepConf(window=8, k=4).traces()
    assert traces.falls_after(Sample(id="s", text=""), 99.0) is None
