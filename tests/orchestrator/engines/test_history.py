"""The view of one engine over its lives: nothing that was counted is lost when it dies."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.engines.history import WINDOW_S, EngineHistory, EngineView
from nbest.orchestrator.engines.meter import Pulse

COUNTS = (
    "samples",
    "prompt_tokens",
    "cached_tokens",
    "generated_tokens",
    "cancelled_tokens",
    "up_s",
    "idle_s",
)
counts = st.integers(0, 10**6)
pulses = st.builds(Pulse, life=st.just(""), in_flight=counts, **dict.fromkeys(COUNTS, counts))


def test_every_count_of_a_pulse_is_in_the_view() -> None:
    assert {field.name for field in fields(Pulse)} == {"life", "in_flight", *COUNTS}
    assert {*COUNTS, "in_flight"} <= {field.name for field in fields(EngineView)}


def test_an_engine_starts_as_starting() -> None:
    log = EngineHistory("engine3")
    assert log.view() == EngineView(name="engine3")
    log.lost()  # it has not been up: it is still starting
    assert (log.view().state, log.view().restarts) == ("starting", 0)


@given(lives=st.lists(pulses, min_size=1, max_size=5))
def test_counts_go_on_through_all_lives(lives: list[Pulse]) -> None:
    log = EngineHistory("e")
    for i, pulse in enumerate(lives):
        log.saw(replace(pulse, life=f"life {i}", samples=pulse.samples // 2), float(i))
        log.saw(replace(pulse, life=f"life {i}"), i + 0.5)
        log.lost()
    for name in COUNTS:
        assert getattr(log.view(), name) == sum(getattr(p, name) for p in lives), name


def test_one_that_is_down_works_on_nothing_and_keeps_its_counts() -> None:
    log = EngineHistory("e")
    log.saw(Pulse(life="a", in_flight=5), 0.0)
    log.saw(Pulse(life="a", in_flight=5, generated_tokens=40), 1.0)
    up = log.view()
    log.lost()
    down = log.view()
    assert (up.state, up.in_flight, up.tokens_per_s, up.restarts) == ("up", 5, 40.0, 0)
    assert (down.state, down.in_flight, down.tokens_per_s, down.restarts) == ("down", 0, 0.0, 1)
    assert down.generated_tokens == 40


def test_a_death_is_counted_once_whether_or_not_it_was_seen() -> None:
    log = EngineHistory("e")
    log.saw(Pulse(life="a"), 0.0)
    log.lost()
    log.lost()
    assert log.view().restarts == 1
    log.saw(Pulse(life="b"), 1.0)
    assert (log.view().state, log.view().restarts) == ("up", 1)
    log.saw(Pulse(life="c"), 2.0)  # nobody looked while it was down
    assert log.view().restarts == 2


def test_the_same_life_may_answer_again() -> None:
    """A network that failed for a moment is no restart."""
    log = EngineHistory("e")
    log.saw(Pulse(life="a", samples=3), 0.0)
    log.lost()
    log.saw(Pulse(life="a", samples=4), 1.0)
    assert (log.view().restarts, log.view().samples) == (0, 4)


def test_tokens_a_second_are_those_of_late() -> None:
    log = EngineHistory("e")
    tokens = 0
    for second in range(100):
        tokens += 10 if second < 50 else 2
        log.saw(Pulse(life="a", generated_tokens=tokens), float(second))
    assert log.view().tokens_per_s == pytest.approx(2.0)


@given(rate=st.integers(0, 1000), first=st.floats(0, 1e4), looks=st.integers(2, 40))
def test_a_steady_engine_has_its_rate(rate: int, first: float, looks: int) -> None:
    log = EngineHistory("e")
    for i in range(looks):
        log.saw(Pulse(life="a", generated_tokens=rate * i), first + i)
    assert log.view().tokens_per_s == pytest.approx(rate)


@pytest.mark.parametrize("times", [[0.0], [5.0, 5.0], [0.0, WINDOW_S + 1]])
def test_without_two_looks_there_is_no_rate(times: list[float]) -> None:
    log = EngineHistory("e")
    for i, now_s in enumerate(times):
        log.saw(Pulse(life="a", generated_tokens=100 * i), now_s)
    assert log.view().tokens_per_s == 0.0


def test_the_share_of_prompt_tokens_that_were_cached() -> None:
    view = EngineView(name="e", prompt_tokens=80, cached_tokens=60)
    assert view.hit_share == 0.75
    assert math.isnan(EngineView(name="e").hit_share)
    assert EngineView(name="e", generated_tokens=9, cancelled_tokens=4).useful_tokens == 5
