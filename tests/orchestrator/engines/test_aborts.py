"""Aborts that come before their request: each wins once, and they do not pile up for ever."""

from __future__ import annotations

from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled_sample
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, Status


def test_an_abort_wins_once() -> None:
    early = EarlyAborts()
    early.add("r1")
    assert [early.take("r2"), early.take("r1"), early.take("r1")] == [False, True, False]


def test_an_abort_that_is_repeated_is_one() -> None:
    early = EarlyAborts()
    early.add("r1")
    early.add("r1")
    assert [early.take("r1"), early.take("r1")] == [True, False]


def test_only_the_newest_are_kept() -> None:
    """Otherwise a run of months, whose aborts often come too late, would fill the memory."""
    early = EarlyAborts(capacity=3)
    for i in range(5):
        early.add(f"r{i}")
    assert [early.take(f"r{i}") for i in range(5)] == [False, False, True, True, True]


def test_what_was_aborted_before_it_began_has_cost_nothing() -> None:
    request = Request(id="r", prompt="?", params=SamplingParams(), seed=1)
    assert cancelled_sample(request) == Sample(id="r", text="", status=Status.CANCELLED)
