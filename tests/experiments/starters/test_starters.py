"""Starters: each is written, runs on the fake model as it is, and its answers come out."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.starters.write import PACKAGE, STARTERS, write_starter
from nbest.orchestrator.errors import InputError


@pytest.mark.parametrize("kind", STARTERS)
def test_from_nothing_to_answers_in_three_commands(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ["init", kind],
        ["run", f"{kind}/config.yaml", "--quiet"],
        ["export", f"runs/{kind}", "--format", "answers", "--out", "answers.jsonl"],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{words}: {result.output} {result.exception}"
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    first = [row for row in rows if row["select"] == rows[0]["select"]]
    assert len(first) == 10
    assert {row["correct"] for row in rows} == {True, False}
    assert all(row["gold"] is not None for row in first)


@pytest.mark.parametrize("kind", STARTERS)
def test_the_right_answer_of_each_question_is_graded_right(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a starter says is right has to be right by its own grader: tests pass, queries run."""
    monkeypatch.chdir(tmp_path)
    write_starter(kind, Path(kind))
    rows = [json.loads(line) for line in Path(kind, "questions.jsonl").read_text().splitlines()]
    for place, row in enumerate(rows):
        Path("one.jsonl").write_text(json.dumps(row) + "\n")
        said = row["answer"]
        answer = {
            "own": f"Answer: {said}",
            "choice": f"Answer: {said}",
            "code": f"```python\n{said}\n```",
        }.get(kind, said)
        said_once = [f"model.answers={json.dumps([answer])}", "model.weights=[1]"]
        settings = ["dataset.path=one.jsonl", "strategy.n=1", *said_once]
        words = ["run", f"{kind}/config.yaml", "--quiet", "--json", "--out", f"r{place}"]
        result = CliRunner().invoke(app, [*words, *(w for s in settings for w in ("--set", s))])
        assert result.exit_code == 0, f"{row}: {result.output} {result.exception}"
        assert json.loads(result.stdout)["accuracy"] == 1.0, row


def test_nothing_is_overwritten_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text("mine")
    with pytest.raises(InputError, match="must not be there yet"):
        write_starter("own", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["questions.jsonl"]
    with pytest.raises(InputError, match="did you mean 'json'"):
        write_starter("jsn", tmp_path / "x")


def test_every_starter_is_named() -> None:
    folders = {f.name for f in files(PACKAGE).iterdir() if f.is_dir() and f.name != "__pycache__"}
    assert folders == set(STARTERS)
