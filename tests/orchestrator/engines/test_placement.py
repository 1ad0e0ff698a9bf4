"""The least loaded engine: the same as looking at all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbest import FakeBackend, SeededAnswers
from nbest.model_backend.fake.engine import FakeEngine
from nbest.orchestrator.engines.placement import MAX_ENTRIES, LeastLoaded
from nbest.orchestrator.engines.pool_engine import PooledEngine

BACKEND = FakeEngine(FakeBackend(script=SeededAnswers(answers=("7",), weights=(1,))))
STEPS = st.lists(st.tuples(st.sampled_from(["take", "drop", "down", "up"]), st.integers(0, 9)))


def plainly(engines: list[PooledEngine]) -> PooledEngine | None:
    free = [engine for engine in engines if engine.has_slot]
    return min(free, key=lambda engine: engine.load, default=None)


def step(
    least_loaded: LeastLoaded, engines: list[PooledEngine], what: str, which: int, name: str
) -> None:
    engine = engines[which % len(engines)]
    if what == "take" and (free := least_loaded()) is not None:
        free.in_flight.add(name)
    elif what == "drop" and engine.in_flight:
        engine.drop(next(iter(engine.in_flight)))
        least_loaded.note(engine)
    elif what in ("down", "up"):
        engine.is_up = what == "up"
        least_loaded.note(engine)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), STEPS)
def test_it_is_the_first_of_the_least_loaded(
    slots: list[int], steps: list[tuple[str, int]]
) -> None:
    engines = [
        PooledEngine(name=f"e{i}", backend=BACKEND, slots=count) for i, count in enumerate(slots)
    ]
    least_loaded = LeastLoaded(engines)
    for number, (what, which) in enumerate(steps):
        step(least_loaded, engines, what, which, f"r{number}")
        assert least_loaded() is plainly(engines)
        assert len(least_loaded._heap) <= MAX_ENTRIES * len(engines)


def test_an_engine_that_opens_unheard_is_found_when_there_is_no_other() -> None:
    engines = [PooledEngine(name="e", backend=BACKEND, slots=1, is_up=False)]
    least_loaded = LeastLoaded(engines)
    assert least_loaded() is None
    engines[0].is_up = True
    assert least_loaded() is engines[0]
