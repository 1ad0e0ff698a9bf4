"""A run in words: what each line says, and that it never says nonsense."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nbest.experiments.cli.display.progress_words import (
    EngineNews,
    counted,
    cut_off_warning,
    duration,
    line,
    rate,
    seconds_left,
)
from nbest.orchestrator.engines.history import EngineView, State
from nbest.orchestrator.query.tally import Tally
from nbest.orchestrator.run.progress import snapshot

UP, DOWN = EngineView(name="e", state="up"), EngineView(name="e", state="down", restarts=1)

# A quarter done, ten seconds after the first engine was up.
PROGRESS = snapshot(
    Tally(queries=8, errors=1, samples_drawn=128, generated_tokens=500),
    num_queries=32,
    engines=[UP, UP, EngineView(name="e")],
    elapsed_s=14.0,
    first_engine_s=4.0,
)
STARTING = snapshot(
    Tally(), num_queries=32, engines=[EngineView(name="e")], elapsed_s=9.0, first_engine_s=0.0
)


def test_a_snapshot_in_words() -> None:
    assert line(PROGRESS) == (
        "queries 8/32  samples 128  50 tokens/s  engines 2/3  errors 1  30 s left"
    )


def test_reused_samples_are_told_apart_if_there_are_any() -> None:
    assert "samples 128  reused 7  50 tokens/s" in line(replace(PROGRESS, samples_reused=7))


def test_lost_samples_are_told_by_how_they_ended() -> None:
    lost = replace(PROGRESS, answers_cut_off=12, answers_failed=1, answers_aborted=3)
    assert "samples 128 (12 cut off, 1 failed, 3 aborted)  50 tokens/s" in line(lost)


def test_many_samples_that_are_cut_off_are_worth_a_warning() -> None:
    few = replace(PROGRESS, answers_drawn=100, answers_cut_off=5)
    assert cut_off_warning(few) == ""
    assert cut_off_warning(replace(few, answers_drawn=39, answers_cut_off=39)) == ""
    many = replace(few, answers_cut_off=38)
    said = "38% of the samples so far are cut off: raise sampling.max_tokens"
    assert cut_off_warning(many) == said


def test_quarantined_queries_are_told_if_there_are_any() -> None:
    assert "quarantined" not in line(PROGRESS)
    assert "errors 1  quarantined 3  30 s left" in line(replace(PROGRESS, quarantined=3))


def test_while_engines_start_it_says_for_how_long() -> None:
    text = "queries 0/32  samples 0  0 tokens/s  engines 0/1  errors 0  starting 9 s"
    assert line(STARTING) == text


def test_the_rate_counts_from_the_first_engine() -> None:
    """Half a minute of loading a model says nothing about its speed."""
    assert rate(PROGRESS) == 50.0
    assert rate(replace(PROGRESS, elapsed_s=4.0)) == 0.0


def test_the_time_left_is_by_the_pace_so_far() -> None:
    assert seconds_left(PROGRESS) == 30.0  # 10 s for 8 of 32
    assert seconds_left(replace(PROGRESS, queries=32)) == 0.0
    assert seconds_left(replace(PROGRESS, queries=0)) is None
    assert seconds_left(replace(PROGRESS, elapsed_s=4.0)) is None
    assert "left" not in line(replace(PROGRESS, queries=0))


def test_between_the_last_engine_and_the_next_there_is_no_false_start() -> None:
    assert "starting" not in line(replace(PROGRESS, engines=(DOWN,)))


counts = st.integers(0, 10**6)
seconds = st.floats(0, 1e6)


@given(done=counts, more=counts, tokens=counts, up=st.integers(0, 9), at=seconds, first=seconds)
def test_there_is_always_something_to_say(
    done: int, more: int, tokens: int, up: int, at: float, first: float
) -> None:
    text = line(
        replace(
            PROGRESS,
            queries=done,
            num_queries=done + more,
            generated_tokens=tokens,
            engines=(UP,) * up,
            elapsed_s=at,
            first_engine_s=first,
        )
    )
    assert text.isprintable()
    assert "nan" not in text
    assert "-" not in text


def test_long_times_come_in_long_units() -> None:
    times = (0, 1, 119.4, 120, 7199, 7200, 86400)
    assert [duration(s) for s in times] == [
        "0 s",
        "1 s",
        "119 s",
        "2 min",
        "120 min",
        "2.0 h",
        "24.0 h",
    ]


def test_one_of_a_thing_is_no_plural() -> None:
    assert [counted(i, "restart") for i in (0, 1, 2, 1000)] == [
        "0 restarts",
        "1 restart",
        "2 restarts",
        "1,000 restarts",
    ]


def test_news_are_of_engines_that_go_and_come() -> None:
    news = EngineNews()
    again = replace(UP, restarts=1)
    looks = [replace(UP, state="starting"), UP, UP, DOWN, DOWN, again, again]
    assert [news.of([look]) for look in looks] == [
        [],
        [],
        [],
        ["e down (1 restart)"],
        [],
        ["e up again (1 restart)"],
        [],
    ]


def test_a_death_that_nobody_saw_is_news_all_the_same() -> None:
    news = EngineNews()
    news.of([UP])
    assert news.of([replace(UP, restarts=2)]) == ["e up again (2 restarts)"]


def test_one_that_only_did_not_answer_has_no_restart() -> None:
    news = EngineNews()
    news.of([DOWN])
    assert news.of([UP]) == ["e up again"]


def test_engines_are_told_apart_and_come_in_their_order() -> None:
    news = EngineNews()
    engines = [replace(UP, name=f"engine{i}") for i in range(4)]
    assert news.of(engines) == []
    engines[2], engines[1] = replace(DOWN, name="engine2"), replace(DOWN, name="engine1")
    assert news.of(engines) == ["engine1 down (1 restart)", "engine2 down (1 restart)"]


states = st.sampled_from(("up", "down"))


@given(looks=st.lists(states, max_size=20))
def test_downs_and_ups_alternate(looks: list[State]) -> None:
    news = EngineNews()
    lines = [what for state in looks for what in news.of([replace(UP, state=state)])]
    assert lines == [("e up again" if i % 2 else "e down") for i in range(len(lines))]


def test_a_name_cannot_act_on_a_terminal() -> None:
    (text,) = EngineNews().of([replace(DOWN, name="e\x1b[31m\n")])
    assert text == "e?[31m? down (1 restart)"
