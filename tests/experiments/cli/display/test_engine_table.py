"""The table of engines: all of a few, the worst of many, and nothing that acts on a terminal."""

from __future__ import annotations

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nbest.experiments.cli.display.engine_table import (
    MAX_SHOWN,
    cells,
    engine_table,
    summary,
    worst,
)
from nbest.orchestrator.engines.history import EngineView

engines = st.lists(
    st.builds(
        EngineView,
        name=st.just(""),
        state=st.sampled_from(("starting", "up", "down")),
        tokens_per_s=st.floats(0, 1e5),
        in_flight=st.integers(0, 99),
        restarts=st.integers(0, 9),
    ),
    max_size=30,
).map(lambda views: [_named(i, view) for i, view in enumerate(views)])


def _named(i: int, view: EngineView) -> EngineView:
    return EngineView(
        name=f"engine{i}",
        state=view.state,
        tokens_per_s=view.tokens_per_s if view.state == "up" else 0.0,
        in_flight=view.in_flight,
        restarts=view.restarts,
    )


def table_lines(views: list[EngineView]) -> list[str]:
    """The lines of the table, on a terminal of 100 columns that knows colours."""
    console = Console(file=StringIO(), width=100, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(engine_table(views))
    return capture.get().splitlines()


def test_the_cells_of_an_engine() -> None:
    engine = EngineView(
        name="engine0",
        state="up",
        restarts=1,
        in_flight=281,
        prompt_tokens=400,
        cached_tokens=350,
        tokens_per_s=12345.6,
    )
    assert cells(engine) == ["engine0", "up", "281", "12,346", "88%", "1"]
    assert cells(EngineView(name="e")) == ["e", "starting", "0", "0", "-", "0"]


@given(views=engines)
def test_of_many_the_worst_are_shown_in_the_order_of_the_run(views: list[EngineView]) -> None:
    shown = worst(views)
    assert len(shown) == min(MAX_SHOWN, len(views))
    assert shown == [view for view in views if view in shown]
    left_out = [view for view in views if view not in shown]
    downs = [view for view in shown if view.state == "down"]
    if any(view.state == "down" for view in left_out):
        assert len(downs) == MAX_SHOWN
    slowest = min((view.tokens_per_s for view in left_out if view.state == "up"), default=0.0)
    assert all(v.tokens_per_s <= slowest for v in shown if v.state == "up" and left_out)


@given(views=engines)
def test_every_engine_is_in_the_table_or_in_its_last_line(views: list[EngineView]) -> None:
    header, *lines = table_lines(views)
    assert header.split() == ["engine", "state", "queue", "tokens/s", "cache", "hits", "restarts"]
    named = [line.split()[0] for line in lines if line.startswith("engine")]
    assert named == [view.name for view in worst(views)]
    rest = len(views) - len(named)
    assert len(lines) == len(named) + bool(rest)
    if rest:
        assert lines[-1].startswith(f"and {rest} other")


def test_the_last_line_adds_up() -> None:
    views = [
        EngineView(name="a", state="up", in_flight=600, tokens_per_s=10.0, restarts=1),
        EngineView(name="b", state="up", in_flight=500, prompt_tokens=10, cached_tokens=5),
        EngineView(name="c", state="down", restarts=2, prompt_tokens=10),
    ]
    assert summary(views) == ["and 3 others", "1 down, 2 up", "1,100", "10", "25%", "3"]


def test_a_name_cannot_act_on_a_terminal() -> None:
    _, line = table_lines([EngineView(name="[red]x[/red]:smile:\x1b[5m\n")])
    assert line.startswith("[red]x[/red]:smile:?[5m? ")
