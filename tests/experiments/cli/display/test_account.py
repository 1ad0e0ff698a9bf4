"""The final account: the sums are right, and what is nothing is not said."""

from __future__ import annotations

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.cli.display.account import account
from nbest.orchestrator.engines.history import EngineView
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.progress import Progress, snapshot

ENGINES = (
    EngineView(
        name="a", restarts=2, up_s=60, idle_s=6, prompt_tokens=600, cached_tokens=400, state="up"
    ),
    EngineView(name="b", up_s=40, idle_s=19, prompt_tokens=400, cached_tokens=40, state="up"),
)


def progress_of(tally: Tally, engines: tuple[EngineView, ...] = ()) -> Progress:
    return snapshot(tally, num_queries=8, engines=engines, elapsed_s=60.0, first_engine_s=10.0)


FULL = progress_of(
    Tally(
        queries=8,
        samples_drawn=1200,
        samples_reused=34,
        generated_tokens=50_000,
        cancelled_tokens=1_500,
        regenerated_tokens=2_000,
    ),
    ENGINES,
)


def test_an_account_in_full() -> None:
    assert account(FULL) == [
        "samples: 1,200 drawn, 34 reused",
        "tokens: 48,500 useful, 1,500 cancelled, at most 2,000 generated twice",
        "engines: 2, idle 25% of the time, 2 restarts, "
        "44% of the prompt tokens from the prefix cache",
        "time: 60 s, of which 10 s to start the first engine, 1,000 tokens/s",
    ]


def test_what_is_nothing_is_not_said() -> None:
    progress = replace(progress_of(Tally(samples_drawn=1, generated_tokens=5)), first_engine_s=0.0)
    assert account(progress) == ["samples: 1 drawn", "tokens: 5 useful", "time: 60 s, 0 tokens/s"]
    assert account(progress_of(Tally(samples_reused=1))) == [
        "samples: 1 reused",
        "time: 60 s, of which 10 s to start the first engine",
    ]


def test_a_run_that_did_nothing_has_no_account() -> None:
    assert account(progress_of(Tally(), ENGINES)) == []


counts = st.sampled_from((0, 1, 7, 10**9))
seconds = st.sampled_from((0.0, 0.001, 30.0, 1e6))


@given(
    tally=st.builds(Tally, **{field.name: counts for field in fields(Tally)}),
    engine=st.builds(
        EngineView,
        name=st.just("a"),
        restarts=counts,
        prompt_tokens=counts,
        up_s=seconds,
        idle_s=st.just(0.0),
    ),
    share=st.sampled_from((0.0, 0.001, 0.5, 1.0)),
    elapsed_s=seconds,
)
def test_there_is_no_nonsense(
    tally: Tally, engine: EngineView, share: float, elapsed_s: float
) -> None:
    """Counts of 0, shares that round to 0, and times of 0."""
    tally.cancelled_tokens = min(tally.cancelled_tokens, tally.generated_tokens)
    cached_tokens = int(engine.prompt_tokens * share)
    engine = replace(engine, idle_s=engine.up_s * share, cached_tokens=cached_tokens)
    lines = account(replace(progress_of(tally, (engine,)), elapsed_s=elapsed_s))
    for line in lines:
        assert line.isprintable()
        words = line.replace(":", "").replace(",", "").split()
        assert not {"0%", "nan", "inf"} & set(words)
        assert "0" not in words or line.startswith("time")
    assert bool(lines) == bool(tally.samples_drawn or tally.samples_reused)
    assert any("restart" in line for line in lines) == bool(lines and engine.restarts)
    assert any("cancelled" in line for line in lines) == bool(lines and tally.cancelled_tokens)
