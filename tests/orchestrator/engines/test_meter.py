"""What is counted of one engine, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.engines.meter import Meter
from nbest.orchestrator.types import Sample, Status


@dataclass(slots=True)
class ManualClock:
    """A clock that only the test moves, in whole seconds."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


samples = st.builds(
    Sample,
    id=st.just("r/q/s0"),
    text=st.just(""),
    status=st.sampled_from(Status),
    prompt_tokens=st.integers(0, 99),
    cached_tokens=st.integers(0, 99),
    generated_tokens=st.integers(0, 99),
)


def test_a_new_engine_has_done_nothing_and_idles() -> None:
    clock = ManualClock()
    meter = Meter(clock)
    clock.now_s += 7
    pulse = meter.pulse("a")
    assert (pulse.life, pulse.in_flight, pulse.samples, pulse.generated_tokens) == ("a", 0, 0, 0)
    assert (pulse.up_s, pulse.idle_s) == (7.0, 7.0)


def test_idle_is_the_time_with_nothing_in_flight() -> None:
    clock = ManualClock()
    meter = Meter(clock)
    idle_s, plan = 0.0, [(3, 1), (5, 1), (2, -1), (4, -1), (6, 1), (1, -1), (8, 0)]
    for seconds, step in plan:
        idle_s += seconds if meter.pulse("").in_flight == 0 else 0
        clock.now_s += seconds
        if step > 0:
            meter.began()
        elif step < 0:
            meter.ended(None)
    assert (meter.pulse("").up_s, meter.pulse("").idle_s) == (29.0, idle_s)
    assert idle_s == 3 + 6 + 8


@given(steps=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30))
def test_idle_time_is_the_sum_over_every_second(steps: list[tuple[int, bool]]) -> None:
    """The plain way looks at every second whether there was anything to do."""
    clock = ManualClock()
    meter = Meter(clock)
    idle_s = in_flight = 0
    for seconds, begins in steps:
        idle_s += 0 if in_flight else seconds
        clock.now_s += seconds
        if begins:
            meter.began()
            in_flight += 1
        elif in_flight:
            meter.ended(None)
            in_flight -= 1
        pulse = meter.pulse("")
        assert (pulse.in_flight, pulse.idle_s) == (in_flight, idle_s)
        assert 0 <= pulse.idle_s <= pulse.up_s


@given(ends=st.lists(st.none() | samples, max_size=12))
def test_tokens_are_the_sums_over_the_samples(ends: list[Sample | None]) -> None:
    meter = Meter(ManualClock())
    for sample in ends:
        meter.began()
        meter.ended(sample)
    drawn = [sample for sample in ends if sample is not None]
    cancelled = [sample for sample in drawn if sample.status is Status.CANCELLED]
    pulse = meter.pulse("")
    assert (pulse.samples, pulse.in_flight) == (len(drawn), 0)
    assert pulse.prompt_tokens == sum(s.prompt_tokens for s in drawn)
    assert pulse.cached_tokens == sum(s.cached_tokens for s in drawn)
    assert pulse.generated_tokens == sum(s.generated_tokens for s in drawn)
    assert pulse.cancelled_tokens == sum(s.generated_tokens for s in cancelled)
