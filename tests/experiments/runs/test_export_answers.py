"""The answers of a run come out: as lines, as CSV, as a table, for any selector."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nbest import BestOfN, FakeBackend, MajorityVote, Query, SeededAnswers, run
from nbest.experiments.cli.app import app
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.export_answers import COLUMNS, AnswerRow, answer_rows
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.errors import InputError

SAMPLES = {
    "q1": ["7", "7", "8", None],
    "q2": ["1", "5", "5", "5"],
    "q3": [None, None, None, None],
}
GOLD = {"q1": "7", "q2": "1"}


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    lines = []
    for query, answers in SAMPLES.items():
        samples = [
            {"text": f"so {answer}", "answer": answer, "tokens": 10}
            if answer
            else {"text": "so", "answer": None, "tokens": 32, "finish_reason": "length"}
            for answer in answers
        ]
        lines.append({"id": query, "prompt": f"{query}?", "samples": samples})
        if query in GOLD:
            lines[-1]["gold"] = GOLD[query]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, lines)))
    import_pool([tmp_path / "pool.jsonl"], tmp_path / "run")
    return tmp_path / "run"


def test_a_row_says_what_was_chosen_and_what_it_beat(pool: Path) -> None:
    rows = {row.id: row for row in answer_rows(pool)}
    assert rows["q1"] == AnswerRow(
        id="q1",
        question="q1?",
        select="vote",
        answer="7",
        index=0,
        text="so 7",
        confidence=2 / 3,
        runner_up="8",
        outcome="answered",
        gold="7",
        correct=True,
        samples=4,
        truncated=1,
        tokens=62,
    )
    assert (rows["q2"].answer, rows["q2"].correct, rows["q2"].runner_up) == ("5", False, "1")
    silent = rows["q3"]
    assert (silent.answer, silent.outcome, silent.gold, silent.correct) == (
        None,
        "abstained",
        None,
        None,
    )
    assert (silent.confidence, silent.runner_up, silent.truncated) == (None, None, 4)


def test_any_selector_can_be_asked_for(pool: Path) -> None:
    fails = "weighted_vote(by=first, transform=log_odds)"  # zeros have no odds
    rows = list(answer_rows(pool, ["vote", "first", fails]))
    assert [row.select for row in rows[:3]] == ["vote", "first", fails]
    assert {row.id: row.answer for row in rows if row.select == "first"}["q2"] == "1"
    assert rows[2].outcome.startswith("failed: ")
    assert (rows[2].answer, rows[2].correct) == (None, None)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_same_rows_come_in_every_form(pool: Path, tmp_path: Path, suffix: str) -> None:
    expected = list(answer_rows(pool, ["vote", "first"]))
    out = tmp_path / f"answers.{suffix}"
    export_run(pool, "answers", out, ["vote", "first"])
    rows: list[dict[str, object]]
    if suffix == "jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    elif suffix == "parquet":
        rows = pq.ParquetFile(out).read(use_threads=False).to_pylist()
    else:
        with out.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    assert len(rows) == len(expected) == 6
    for row, right in zip(rows, expected, strict=True):
        assert tuple(row) == COLUMNS
        for name in COLUMNS:
            value = getattr(right, name)
            if suffix == "csv":
                shown = str(value).lower() if isinstance(value, bool) else str(value)
                assert row[name] == ("" if value is None else shown)
            else:
                assert row[name] == value


def test_what_cannot_be_written_is_refused_before_anything_is(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"out must end in \.jsonl, \.csv, \.parquet, got"):
        export_run(pool, "answers", tmp_path / "answers.txt")
    with pytest.raises(InputError, match="select must go with the format answers, got 'jsonl'"):
        export_run(pool, "jsonl", None, ["vote"])
    with pytest.raises(InputError, match="nobody has made any: nbest pick RUN"):
        export_run(pool, "preferences", tmp_path / "pairs.jsonl")
    assert not list(tmp_path.glob("*pairs*"))
    assert not list(tmp_path.glob(".*"))


def test_twenty_questions_of_ones_own_to_answers_in_three_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"question": f"What is {i} + 1?"}) for i in range(20)]
    Path("q.jsonl").write_text("\n".join(lines))
    Path("q.yaml").write_text(
        "name: own\n"
        "dataset: {kind: jsonl, path: q.jsonl}\n"
        "model: {backend: fake}\n"
        "strategy: {n: 8}\n"
        "grade: none\n"
        "cluster: {local: true}\n"
    )
    app(args=["run", "q.yaml", "-q"], standalone_mode=False)
    app(args=["export", "runs/own", "--format", "answers", "--out", "a.csv"], standalone_mode=False)
    said = capsys.readouterr()
    assert "160 samples: 160 with an answer" in said.out
    assert said.err.endswith("wrote 21 lines to a.csv\n")
    with Path("a.csv").open(newline="") as rows:
        table = list(csv.DictReader(rows))
    assert [row["question"] for row in table] == [f"What is {i} + 1?" for i in range(20)]
    assert all(row["answer"] and row["text"] for row in table)


def test_in_python_a_record_has_its_selection() -> None:
    backend = FakeBackend(script=SeededAnswers(answers=("42", "41"), weights=(2, 1)))
    queries = [Query(id=f"q{i}", prompt="?") for i in range(3)]
    records = run(queries, BestOfN(n=5, select=MajorityVote()), backend)
    assert len(records) == 3
    for record in records:
        assert record.selection is not None
        assert len(record.selection.samples) == len(record.selection.scores) == 5
        assert record.selection.answer == record.answer
        assert record.selection.samples[record.selection.index or 0].text == record.answer
