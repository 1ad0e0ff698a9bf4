"""`nbest pick` in the terminal, what it keeps, the selector `user`, and pairs for training."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.app import app
from nbest.experiments.pick.session import PickSession, questions_of
from nbest.experiments.pick.terminal import pick_in_terminal, render
from nbest.experiments.runs.exchange.preferences import preference_lines
from nbest.orchestrator.errors import InputError, StoreError
from nbest.orchestrator.store.choices import Sitting, read_choices
from tests.experiments.picked_runs import picked_run

TEXTS = {"q0": ["7", "8", "7", "9"], "q1": ["a", "b"], "q2": ["x"]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return picked_run(tmp_path, TEXTS)


def key_of(session: PickSession, text: str) -> str:
    return str(session.screen.texts.index(text) + 1)


# What is kept


def test_a_choice_is_there_for_others_at_once(run: Path) -> None:
    one, two = Sitting(run, by="ann"), Sitting(run, by="ben")
    one.add("q0", 1, (0, 1, 3))
    two.add("q1", None, (0, 1))
    choices = read_choices(run)
    assert {q: (c.index, c.by, c.shown) for q, c in choices.items()} == {
        "q0": (1, "ann", (0, 1, 3)),
        "q1": (None, "ben", (0, 1)),
    }


def test_the_latest_choice_counts_and_undo_brings_the_one_before_back(run: Path) -> None:
    one, two = Sitting(run), Sitting(run)
    one.add("q0", 1, (0, 1))
    two.add("q0", 0, (0, 1))
    assert read_choices(run)["q0"].index == 0
    taken_back = two.undo()
    assert taken_back is not None
    assert taken_back.index == 0
    assert read_choices(run)["q0"].index == 1
    assert two.undo() is None


def test_a_damaged_file_is_named_and_an_unfinished_one_is_ignored(run: Path) -> None:
    Sitting(run).add("q0", 1, (0, 1))
    (file,) = (run / "choices").iterdir()
    (run / "choices" / f".{file.name}.tmp").write_text("[{")
    assert read_choices(run)["q0"].index == 1
    file.write_text("[{")
    with pytest.raises(StoreError, match=f"choices/{file.name} is damaged"):
        read_choices(run)


def test_choices_disturb_nothing_else_in_the_run(run: Path) -> None:
    before = compare(run, "vote").rows
    Sitting(run).add("q0", 1, (0, 1))
    assert compare(run, "vote").rows == before


# The session


def test_different_texts_are_shown_once_and_only_good_ones(run: Path) -> None:
    (first, second, third) = questions_of(run, seed=0)
    assert sorted(first.texts) == ["7", "8", "9"]
    assert dict(zip(first.texts, first.indices, strict=True)) == {"7": 0, "8": 1, "9": 3}
    assert (sorted(second.texts), third.texts) == (["a", "b"], ("x",))


def test_the_order_is_the_same_again_and_another_with_another_seed(tmp_path: Path) -> None:
    run = picked_run(tmp_path, {"q": [str(i) for i in range(30)]})
    orders = [questions_of(run, seed)[0].texts for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != tuple(str(i) for i in range(30))


def test_choose_skip_undo_and_resume(run: Path) -> None:
    session = PickSession(run, by="ann")
    assert (session.screen.done, session.screen.total) == (0, 3)
    assert session.press(key_of(session, "8"))
    assert session.press("s")
    assert session.screen.query_id == "q2"
    assert session.press("u")
    assert session.screen.query_id == "q1"
    assert session.press(key_of(session, "b"))
    again = PickSession(run)
    assert (again.screen.query_id, again.screen.done) == ("q2", 2)
    assert again.press("1")
    assert again.screen.is_over
    assert not again.press("1")
    choices = read_choices(run)
    assert {q: c.index for q, c in choices.items()} == {"q0": 1, "q1": 1, "q2": 0}


@pytest.mark.parametrize("key", ["4", "x", "", " ", "n", "p", "u", "²"])
def test_keys_that_mean_nothing_do_nothing(run: Path, key: str) -> None:
    session = PickSession(run)
    before = session.screen
    assert not session.press(key)
    assert session.screen == before
    assert not read_choices(run)


def test_more_than_nine_texts_come_in_pages(tmp_path: Path) -> None:
    run = picked_run(tmp_path, {"q": [str(i) for i in range(20)]})
    session = PickSession(run)
    assert (len(session.screen.texts), session.screen.num_pages) == (9, 3)
    assert session.press("n")
    assert session.press("n")
    assert not session.press("n")
    assert len(session.screen.texts) == 2
    text = session.screen.texts[1]
    assert not session.press("3")
    assert session.press("2")
    assert read_choices(run)["q"].index == int(text)


def test_a_run_without_samples_says_so(tmp_path: Path) -> None:
    run = picked_run(tmp_path, {})
    with pytest.raises(InputError, match="run must hold samples to choose from"):
        PickSession(run)


# The terminal


def screens(run: Path, keys: str) -> str:
    out = io.StringIO()
    remaining = list(keys)
    session = PickSession(run)
    pick_in_terminal(
        session, Console(file=out, width=80), lambda: remaining.pop(0) if remaining else ""
    )
    return out.getvalue()


def test_the_screen_shows_question_candidates_and_progress(run: Path) -> None:
    said = screens(run, "1xq1")
    assert "question q0" in said
    assert "1 of 3 questions decided" in said
    assert "'x' does nothing here" in said
    assert len(read_choices(run)) == 1  # after q nothing is read


def test_the_end_is_told(run: Path) -> None:
    assert "3 of 3 questions decided; that is all" in screens(run, "sss")


def test_texts_of_a_model_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    run = picked_run(tmp_path, {"q": ["\x1b]0;owned\x07 \x1b[2J [bold]x[/bold] :smile:", "b"]})
    said = screens(run, "q")
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[bold]x[/bold] :smile:" in said


def test_one_key_is_enough_in_a_real_terminal(run: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nbest", "pick", str(run), "--name", "ann"]
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True
    )
    os.close(theirs)
    said = b""
    try:
        for key, awaited in ((b"1", b"0 of 3"), (b"s", b"1 of 3"), (b"q", b"2 of 3")):
            while awaited not in said:
                said += os.read(ours, 65536)
            os.write(ours, key)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert [c.by for c in read_choices(run).values()] == ["ann", "ann"]


def test_without_a_terminal_lines_are_read(run: Path) -> None:
    result = CliRunner().invoke(app, ["pick", str(run)], input="1\n\ns\n")
    assert result.exit_code == 0, result.output
    assert len(read_choices(run)) == 2


# The selector and the pairs


def test_the_selector_user_takes_what_was_chosen(run: Path) -> None:
    sitting = Sitting(run)
    sitting.add("q0", 0, (0, 1, 3))
    sitting.add("q1", 1, (1, 0))
    sitting.add("q2", None, (0,), none_right=True)
    (row,) = compare(run, "user").rows
    assert (row.accuracy, row.abstained, row.n_queries) == (pytest.approx(1 / 3), 1, 3)


def test_a_skipped_question_is_one_that_nobody_has_decided(run: Path) -> None:
    sitting = Sitting(run)
    sitting.add("q0", 0, (0, 1, 3))
    sitting.add("q1", None, (0, 1))
    (row,) = compare(run, "user").rows
    assert (row.abstained, row.n_queries) == (0, 1)
    sitting.undo()
    sitting.undo()
    sitting.add("q1", None, (0, 1))
    with pytest.raises(InputError, match="nobody has made any"):
        compare(run, "user")


def test_choices_of_before_are_read(run: Path) -> None:
    rows = [{"query_id": "q0", "index": 1, "shown": [0, 1], "at_ns": 1, "by": "ann"}]
    (run / "choices").mkdir()
    (run / "choices" / "1-a.json").write_text(json.dumps(rows))
    choice = read_choices(run)["q0"]
    assert (choice.index, choice.tied, choice.none_right, choice.comment) == (1, (), False, "")


def test_none_of_them_is_right_and_a_comment_says_why(run: Path) -> None:
    session = PickSession(run)
    assert session.comment(" all of them forget the unit \n")
    assert session.screen.comment == "all of them forget the unit"
    assert session.press("0")
    choice = read_choices(run)["q0"]
    assert (choice.index, choice.none_right, choice.is_decided) == (None, True, True)
    assert choice.comment == "all of them forget the unit"
    assert session.screen.comment == ""
    assert session.press("u")
    assert session.screen.comment == "all of them forget the unit"
    assert list(preference_lines_or_none(run)) == []


def preference_lines_or_none(run: Path) -> list[str]:
    try:
        return list(preference_lines(run))
    except InputError:
        return []


def test_a_tie_is_marked_and_chosen_together(run: Path) -> None:
    session = PickSession(run)
    assert session.press("t")
    assert session.screen.is_tie
    for text in ("8", "9", "7", "9", "9"):
        assert session.press(key_of(session, text))
    assert len(session.screen.marked) == 3
    assert session.press(key_of(session, "9"))
    assert session.press("t")
    choice = read_choices(run)["q0"]
    assert {choice.index, *choice.tied} == {0, 1}  # 7 and 8
    pairs = [json.loads(line) for line in preference_lines(run)]
    assert [pair["rejected"] for pair in pairs] == ["9"]
    assert session.screen.query_id == "q1"
    assert session.press("t")
    assert session.press("1")
    assert session.press("t")  # one alone is no tie
    assert session.screen.query_id == "q1"
    assert not session.screen.is_tie


def test_the_question_stands_alone_beside_the_whole_prompt(run: Path) -> None:
    screen = PickSession(run).screen
    assert (screen.question, screen.prompt) == ("question q0", "question q0")
    long = replace(screen, prompt="Example.\n" * 500 + "question q0")
    with Console(file=io.StringIO(), width=80) as console:
        console.print(render(long))
        assert "Example" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_comment_is_typed_in_the_terminal(run: Path) -> None:
    said = screens(run, "cnot suer\x7f\x7f\x7fure\n1q")
    assert "a comment, and Enter: not su" in said
    assert read_choices(run)["q0"].comment == "not sure"


def test_without_choices_there_is_no_user(run: Path) -> None:
    with pytest.raises(InputError, match="user needs choices, and nobody has made any: nbest pick"):
        compare(run, "user")


def test_pairs_are_the_chosen_text_against_each_other_that_was_shown(run: Path) -> None:
    sitting = Sitting(run)
    sitting.add("q0", 1, (3, 0, 1))
    sitting.add("q1", None, (0, 1))
    assert [json.loads(line) for line in preference_lines(run)] == [
        {"prompt": "question q0", "chosen": "8", "rejected": "9"},
        {"prompt": "question q0", "chosen": "8", "rejected": "7"},
    ]


def test_pairs_of_a_chat_are_conversations(tmp_path: Path) -> None:
    run = picked_run(tmp_path, {"q": ["a", "b"]}, is_chat=True)
    Sitting(run).add("q", 0, (0, 1))
    (line,) = preference_lines(run)
    assert json.loads(line) == {
        "prompt": [{"role": "user", "content": "question q"}],
        "chosen": [{"role": "assistant", "content": "a"}],
        "rejected": [{"role": "assistant", "content": "b"}],
    }


def export(*options: str) -> str:
    result = CliRunner().invoke(app, ["export", "--format", "preferences", *options])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_the_export_is_written_whole_and_overwrites_only_when_told_to(
    run: Path, tmp_path: Path
) -> None:
    Sitting(run).add("q1", 0, (0, 1))
    out = tmp_path / "pairs.jsonl"
    assert len(export(str(run)).splitlines()) == 1
    assert export(str(run), "--out", str(out)) == ""
    with pytest.raises(InputError, match="out must be a new file"):
        export(str(run), "--out", str(out))
    Sitting(run).add("q0", 0, (0, 1))
    export(str(run), "--out", str(out), "--force")
    assert len(out.read_text().splitlines()) == 2
    assert not list(tmp_path.glob(".*.tmp"))


def test_an_unknown_format_is_refused(run: Path) -> None:
    with pytest.raises(
        InputError,
        match="format must be one of answers, preferences, jsonl, parquet, inspect, got 'csv'",
    ):
        export(str(run), "--format", "csv")
