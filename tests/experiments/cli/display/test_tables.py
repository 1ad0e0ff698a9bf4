"""Tables, and promise 9: no text of a model, a data set or a config acts on a terminal."""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nbest import vote_shares
from nbest.experiments.analysis.table.rows import Row
from nbest.experiments.cli import ending, run_summary
from nbest.experiments.cli.ask import as_document, as_text
from nbest.experiments.cli.display.tables import console, selector_table, share
from nbest.experiments.cli.ending import Exit
from nbest.experiments.language.text import one_line, printable, safe_lines, shown
from nbest.orchestrator.query.selection import WholeText, choose, read_answers
from nbest.orchestrator.types import Outcome, Record, Sample, Selection

NAN = math.nan

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "clear": "\x1b[2J\x1b[H",
    "C1": "\x9b31m\x90q\x9c",
    "overwrite": "wrong\rright",
    "backspaces": "wrong\b\b\b\b\bright",
    "bidi": "\u202e24\u202c \u2066x\u2069",
    "invisible": "4\u200b2\ufeff\U000e0041",
    "lines": "a\u2028b\x0bc\x85d",
    "surrogate": "\ud800",
    "null": "a\x00b",
}
MARKUP = ("[bold red]x[/]", "[link=http://evil]x[/link]", "[/]", "x\\", "[", "a[0]", ":smile:")

every_hostile_text = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)

ROW = Row(
    select="vote",
    accuracy=0.71875,
    low=0.546,
    high=0.845,
    abstained=3,
    n_queries=32,
    n_samples=512,
    tokens=12345,
    seconds=1.25,
)


def acting(text: str) -> set[str]:
    """The characters that do something else than to be seen, but for the end of a line."""
    odd = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in odd and c != "\n"}


def test_the_test_itself_sees_what_could_act() -> None:
    assert all(acting(text) for text in HOSTILE.values())
    assert acting("plain text, 4\u00b2 = 16 \u4e2d\n") == set()


def rendered(*rows: Row, baselines: tuple[Row, ...] = ()) -> str:
    out = StringIO()
    Console(file=out, width=120).print(selector_table(rows, baselines))
    return out.getvalue()


def test_a_table_by_hand() -> None:
    baseline = replace(ROW, select="any of 16 right", accuracy=1.0, abstained=0)
    lines = [" ".join(line.split()) for line in rendered(ROW, baselines=(baseline,)).splitlines()]
    assert lines == [
        "selector accuracy 95% interval abstained all tokens s/question",
        "any of 16 right 1.000 0.55 to 0.84 0 12,345 1.2",
        "vote 0.719 0.55 to 0.84 3 12,345 1.2",
    ]


def test_what_is_unknown_is_a_dash_and_not_zero() -> None:
    cells = rendered(replace(ROW, accuracy=NAN, low=NAN, high=NAN)).splitlines()[-1].split()
    assert cells == ["vote", "-", "-", "3", "12,345", "1.2"]
    assert (share(NAN), share(0.0), share(1.0)) == ("-", "0.000", "1.000")


def test_without_baselines_there_is_no_more_than_the_rows() -> None:
    assert len(rendered(ROW, replace(ROW, select="first")).splitlines()) == 3


def test_a_table_for_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    name = 'first_valid(regex=r"' + "x" * 30 + '")'
    console().print(selector_table([replace(ROW, select=name)]))
    output = capsys.readouterr().out
    assert name in output
    assert "\x1b" not in output
    assert "\u2026" not in output


@every_hostile_text
def test_the_name_of_a_selector_cannot_act(text: str) -> None:
    """The name may come from a foreign config: `first_valid(regex="...")`."""
    output = rendered(replace(ROW, select=f"first_valid({text})"))
    assert acting(output) == set()
    assert len(output.splitlines()) == 2


@pytest.mark.parametrize("text", MARKUP)
def test_the_name_of_a_selector_is_no_markup(text: str) -> None:
    name = f"first_valid({text})" if text != "x\\" else text
    assert name in rendered(replace(ROW, select=name))


def selection_of(text: str) -> Selection:
    """The selection of a sample with that text."""
    samples = [Sample(id="s0", text=text, generated_tokens=3), Sample(id="s1", text="other")]
    candidates = read_answers(samples, WholeText())
    return choose(candidates, vote_shares(candidates.answers))


@every_hostile_text
def test_an_answer_cannot_act(text: str) -> None:
    output = as_text(selection_of(f"I say {text} 42"))
    assert acting(output) == set()
    assert output.endswith("(50% of the answers agree; 2 ok)")
    assert "I say" in output


@every_hostile_text
def test_an_answer_in_json_is_whole_and_cannot_act(text: str) -> None:
    output = json.dumps(as_document(selection_of(f"x{text}x")), indent=2)
    assert acting(output) == set()
    assert json.loads(output)["samples"][0]["text"] == f"x{text}x"


def failed_record(query_id: str, error: str, outcome: Outcome = Outcome.ERROR) -> Record:
    return Record(query_id=query_id, strategy="", outcome=outcome, error=error)


@every_hostile_text
def test_an_error_cannot_act(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors quote what a model or a data set says: of questions, and of the whole command."""
    run_summary.tell_errors([failed_record(f"q{text}", f"cannot read {text}")], 3)
    with pytest.raises(SystemExit) as ended:
        ending._end(f"error: cannot read {text}", Exit.FAILED)
    assert ended.value.code == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert acting(output.err) == set()
    assert [line.partition(" ")[0] for line in output.err.splitlines()] == ["nbest:"] * 3


def test_a_message_of_several_lines_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    """For example the difference to a run that was changed."""
    with pytest.raises(SystemExit):
        ending._end("error: the run has changed\n  seed: 1 in the run, 2 now", Exit.WRONG_INPUT)
    assert capsys.readouterr().err.splitlines() == [
        "nbest: error: the run has changed",
        "  seed: 1 in the run, 2 now",
    ]


def test_only_the_first_errors_are_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    run_summary.tell_errors([failed_record(f"q{i}", "no") for i in range(9)], 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        *(f"nbest: q{i} failed: no" for i in range(5)),
        "nbest: 9 of 10 questions failed",
    ]
    run_summary.tell_errors([], 10)
    assert capsys.readouterr().err == ""


def test_a_quarantined_question_is_told_with_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_summary.tell_errors([failed_record("q1", "it killed its engine", Outcome.QUARANTINED)], 10)
    assert capsys.readouterr().err.splitlines() == [
        "nbest: q1 quarantined: it killed its engine",
        "nbest: 1 of 10 questions failed, 1 of them quarantined (--retry-quarantined asks again)",
    ]


@every_hostile_text
def test_values_and_exceptions_in_messages_cannot_act(text: str) -> None:
    for output in (shown(text), shown({text: [text]}), one_line(ValueError(text)), printable(text)):
        assert acting(output) == set()
        assert "\n" not in output


def test_messages_stay_short() -> None:
    assert len(shown("x" * 10_000)) <= 80
    assert len(one_line(ValueError("x" * 10_000))) <= 200
    assert one_line(ValueError()) == "ValueError"
    assert one_line(ValueError("one\ntwo")) == "one"


def test_lines_stay_lines_and_tabs_become_spaces() -> None:
    assert safe_lines("a\n\tb\r\nc") == "a\n    b\nc"
    assert safe_lines("") == ""


@given(text=st.text(st.characters(), max_size=60))
def test_no_text_at_all_can_act(text: str) -> None:
    assert acting(safe_lines(text)) == set()
    assert acting(printable(text)) == set()
    assert len(printable(text)) == len(text)
    assert printable(printable(text)) == printable(text)


@given(text=st.text("[]/\\=ab \x1b\u202e", max_size=20))
def test_any_name_is_shown_as_it_is_but_for_what_acts(text: str) -> None:
    output = rendered(replace(ROW, select=f"<{text}>"))
    assert f"<{printable(text)}>" in output
