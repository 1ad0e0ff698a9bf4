"""The table of a command is of what it asked; an unfinished run says that it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nbest.experiments.cli.app import app
from nbest.orchestrator.errors import RunChanged
from nbest.orchestrator.store.reader import RunReader

CONFIG = """
name: t
dataset: {kind: jsonl, path: a.jsonl}
prompt: {template: "{question}"}
model: {backend: fake}
strategy: {n: 8}
select: [vote]
grade: number
cluster: {local: true}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        rows = ({"id": f"{name}{i}", "question": f"{i}?", "answer": "42"} for i in range(5))
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("config.yaml").write_text(CONFIG)
    return tmp_path


def nbest(*command: str) -> Result:
    return CliRunner().invoke(app, [*command])


def run(*settings: str) -> Result:
    sets = [part for setting in settings for part in ("--set", setting)]
    return nbest("run", "config.yaml", "--out", "run", "--quiet", *sets)


def test_fewer_samples_are_the_table_of_the_first_ones() -> None:
    assert "any of 8 right" in run().stdout
    fewer = run("strategy.n=4")
    assert "any of 4 right" in fewer.stdout
    assert "the run holds more than 4 samples of 5 questions: the table is of" in fewer.stdout
    assert "any of 8 right" in nbest("select", "run", "--select", "vote").stdout


def test_fewer_questions_are_the_table_of_these() -> None:
    run()
    fewer = nbest("run", "config.yaml", "--out", "run", "--quiet", "--limit", "2", "--json")
    assert fewer.exit_code == 0
    assert json.loads(fewer.stdout)["rows"][0]["n_queries"] == 2
    assert "the run holds 3 more questions, which this command does not ask" in fewer.stderr


def test_another_dataset_in_the_same_folder_is_refused_before_anything_is_drawn() -> None:
    run()
    other = run("dataset.path=b.jsonl")
    assert isinstance(other.exception, RunChanged)
    assert "holds 5 questions of another dataset, such as 'a0'" in str(other.exception)
    assert len(RunReader("run").query_ids) == 5


def test_a_dataset_without_ids_that_was_renamed_is_refused_too() -> None:
    rows = "".join(json.dumps({"question": f"{i}?", "answer": "42"}) + "\n" for i in range(3))
    Path("c.jsonl").write_text(rows)
    run("dataset.path=c.jsonl")
    Path("c.jsonl").rename("d.jsonl")
    assert isinstance(run("dataset.path=d.jsonl").exception, RunChanged)


def test_a_dataset_that_has_grown_goes_on() -> None:
    run()
    with Path("a.jsonl").open("a") as file:
        file.write(json.dumps({"id": "a5", "question": "5?", "answer": "42"}) + "\n")
    assert run().exit_code == 0
    assert len(RunReader("run").query_ids) == 6


@pytest.mark.parametrize(
    "command",
    [
        ("select", "run", "--select", "vote"),
        ("curve", "run", "--select", "vote"),
        ("replay", "run", "--strategy", "adaptive", "--max-n", "8"),
        ("report", "run", "--out", "page.html"),
    ],
    ids=lambda command: command[0],
)
def test_an_unfinished_run_says_so_everywhere(command: tuple[str, ...]) -> None:
    run()
    whole = nbest(*command)
    assert "unfinished" not in whole.output
    shutil.rmtree("run/records")  # as where the driver was killed before any question had ended
    Path("run/records").mkdir()
    Path("page.html").unlink(missing_ok=True)
    said = nbest(*command).output
    if command[0] == "report":
        said = Path("page.html").read_text()
    assert "unfinished: 5 of 5 questions have no outcome yet" in said


def test_with_json_it_says_so_on_standard_error() -> None:
    run()
    shutil.rmtree("run/records")
    Path("run/records").mkdir()
    result = nbest("select", "run", "--select", "vote", "--json")
    assert "unfinished" in result.stderr
    json.loads(result.stdout)


def test_a_selector_that_fails_is_exit_status_3() -> None:
    lines = [{"id": "q", "samples": [{"answer": "7", "scores": {"rm": -1.0}}]}]
    Path("pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert nbest("import", "pool.jsonl", "--out", "pool").exit_code == 0
    failing = nbest("select", "pool", "--select", "vote,weighted_vote(by=score(name=rm))")
    assert failing.exit_code == 3
    assert "failed at 1 questions" in failing.output


@pytest.mark.parametrize("name", ["curve.bmp", "curve", "nowhere/curve.svg"])
def test_a_picture_that_cannot_be_written_is_one_line(name: str) -> None:
    run()
    result = nbest("curve", "run", "--select", "vote", "--plot", name)
    assert "plot must " in str(result.exception)
    assert not Path(name).exists()


def test_a_dollar_in_a_name_is_no_mathematics() -> None:
    lines = [{"id": "q", "gold": "7", "samples": [{"answer": "7"}, {"answer": "8"}]}]
    Path("pool.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    nbest("import", "pool.jsonl", "--out", "pool")
    selector = r"first_valid(regex='[$]7|7$|[$]')"
    assert nbest("curve", "pool", "--select", selector, "--plot", "curve.svg").exit_code == 0
    assert Path("curve.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id": "x", "question": "1?", "answer": "\\ud800"}', "answer must be valid Unicode"),
        ('{"id": "x", "question": "\\ud800", "answer": "1"}', "must be valid Unicode"),
        ('{"id": "\\ud800", "question": "1?", "answer": "1"}', "an id must be printable text"),
    ],
)
def test_half_a_surrogate_pair_is_one_line(row: str, message: str) -> None:
    Path("a.jsonl").write_text(row + "\n")
    assert message in str(run().exception)


def test_a_cell_of_csv_may_be_long() -> None:
    Path("big.csv").write_text("question,answer\n" + "x" * 200_000 + ",4\n")
    result = run("dataset.kind=csv", "dataset.path=big.csv", "strategy.n=1")
    assert result.exit_code == 0, result.exception
