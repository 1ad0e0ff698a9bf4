"""A run with a selector of a file of one's own, and names of one's own for selectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from nbest import load
from nbest.experiments.cli.app import app
from nbest.experiments.report.data import run_report
from nbest.orchestrator.errors import InputError, NbestError
from nbest.orchestrator.store.reader import RunReader
from tests.experiments.language.test_code_files import MINE
from tests.experiments.runs.test_panels import CONFIG, drawn

PLAIN = {key: value for key, value in CONFIG.items() if key not in ("arms", "prompts")}
NAMED = {"words": "mine.py:FewestWords", "valid": "first_valid(rule=json(schema=@s.json))"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "42"} for i in range(5)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "s.json").write_text('{"type": "number"}')
    (tmp_path / "c.yaml").write_text(
        yaml.safe_dump(PLAIN | {"select": NAMED | {"vote": "vote"}}, sort_keys=False)
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nbest(*args: str) -> str:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, f"{result.output} {result.exception}"
    return result.stdout


def test_names_stand_in_the_table_and_for_later_commands(folder: Path) -> None:
    table = json.loads(nbest("run", "c.yaml", "--set", "name=c", "--json", "--quiet"))
    assert [row["select"] for row in table["rows"]] == ["words", "valid", "vote"]
    stored = RunReader("runs/c").manifest.config["select"]
    assert isinstance(stored, list)
    assert "@" not in str(stored)  # the schema itself is kept
    again = json.loads(nbest("select", "runs/c", "--select", "valid", "--json"))
    assert again["rows"] == [table["rows"][1]]
    other = nbest("select", "runs/c", "--select", "mine=mine.py:FewestWords(weight=2.0)", "--json")
    (row,) = json.loads(other)["rows"]
    assert row["select"] == "mine"
    assert row["accuracy"] == table["rows"][0]["accuracy"]
    assert load("runs/c", ["valid"]).answers["select"].unique().to_pylist() == ["valid"]


def test_what_the_user_types_is_run_though_the_run_names_it_too(folder: Path) -> None:
    nbest("run", "c.yaml", "--set", "name=c", "--set", "select=[mine.py:FewestWords]", "--quiet")
    typed = nbest("select", "runs/c", "--select", "mine.py:FewestWords", "--json")
    assert json.loads(typed)["rows"][0]["select"] == "mine.py:FewestWords"
    assert load("runs/c", ["mine.py:FewestWords"]).answers.num_rows == 5
    result = CliRunner().invoke(app, ["select", "runs/c"])
    assert "only if you name it yourself" in str(result.exception)


def test_code_that_a_stored_run_names_is_not_run(folder: Path) -> None:
    nbest("run", "c.yaml", "--set", "name=c", "--quiet")
    (folder / "mine.py").write_text("import pathlib\npathlib.Path('ran').touch()\n" + MINE)
    report = run_report("runs/c")
    assert [row.select for row in report.rows] == ["valid", "vote"]
    assert any(
        "nbest runs code in a file only if you name it yourself" in note for note in report.notes
    )
    with pytest.raises(InputError, match="nbest runs code in a file only if you name it yourself"):
        _ = load("runs/c").answers
    assert "words" in nbest("config", "--run", "runs/c")
    assert not (folder / "ran").exists()


@pytest.mark.ray
def test_workers_choose_by_it_too(folder: Path) -> None:
    spread = "cluster={engines: 1, workers: 2, cpus_per_engine: 0.1}"
    here = drawn(folder, "here", "strategy.n=4")
    assert drawn(folder, "spread", "strategy.n=4", spread) == here
    one, other = (
        {record.query_id: record.answer for record in RunReader(folder / out).records()}
        for out in ("here", "spread")
    )
    assert one == other
    assert len(one) == 5


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ({"vote": "first"}, "a name must be no selector's own name where it stands for first"),
        ("a=vote,a=first", "select must name every selector once, got 'a' twice"),
        ({"mine": "mine.py:Nothing"}, "mine.py has no class Nothing"),
    ],
)
def test_names_that_mislead_are_refused(folder: Path, select: object, why: str) -> None:
    (folder / "c.yaml").write_text(yaml.safe_dump(PLAIN | {"select": select}))
    result = CliRunner().invoke(app, ["run", "c.yaml", "--set", "name=c"])
    assert isinstance(result.exception, InputError)
    assert why in str(result.exception)
    assert "\n" not in str(result.exception)


EVIL = "{folder}/evil.py:Evil"
HOSTILE: dict[str, object] = {  # what a stranger may have written into run.json
    "select": [EVIL, f'x=first_valid(rule="{EVIL}")', "vote=first", f"first_valid(rule={EVIL})"],
    "extract": "regex(pattern=@{folder}/secret.txt)",
    "grade": f'all_of(rules=["{EVIL}"])',
    "equivalence": "sql_result(schema=@{folder}/secret.txt)",
    "strategy": {"n": 4, "race": f'all_of(rules=["{EVIL}"])'},
    "search": {"n": 4, "search": "beam", "score": f'first_valid(rule="{EVIL}")', "step": {}},
    "model": {"backend": EVIL},
    "models": {"large": {"backend": EVIL}},
    "output": {"schema": "{folder}/secret.txt", "choose": EVIL},
}
COMMANDS = (
    "select RUN",
    "select RUN --select judge(model=large)",
    "curve RUN",
    "report RUN --out r.html --force",
    "show RUN",
    "show RUN q0",
    "view RUN --out v.html --force",
    "export RUN --format answers",
    "export RUN --format inspect --out x.eval --force",
    "replay RUN --max-n 4",
    "replay RUN --strategy beam(width=2)",
    "config --run RUN",
    "check RUN",
    "runs .",
    "track RUN --to mlflow",
)


@pytest.mark.parametrize("key", HOSTILE)
def test_a_strangers_run_runs_and_reads_nothing(key: str, folder: Path) -> None:
    nbest("run", "c.yaml", "--set", "name=c", "--set", "select=[vote]", "--quiet")
    (folder / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Evil: pass")
    (folder / "secret.txt").write_text("SECRET(")
    file = folder / "runs" / "c" / "run.json"
    value = json.loads(json.dumps(HOSTILE[key]).replace("{folder}", str(folder)))
    manifest = json.loads(file.read_text())
    manifest["config"]["strategy" if key == "search" else key] = value
    file.write_text(json.dumps(manifest))
    for command in COMMANDS:
        result = CliRunner().invoke(app, command.replace("RUN", "runs/c").split(" "))
        assert not (folder / "ran").exists(), command
        assert "SECRET" not in f"{result.output} {result.exception}", command
        assert result.exception is None or isinstance(result.exception, NbestError | SystemExit)


def test_a_stored_label_does_not_take_a_selectors_name(folder: Path) -> None:
    nbest("run", "c.yaml", "--set", "name=c", "--set", "select=[first]", "--quiet")
    file = folder / "runs" / "c" / "run.json"
    plain = json.loads(nbest("select", "runs/c", "--select", "vote", "--json"))
    manifest = json.loads(file.read_text())
    manifest["config"]["select"] = ["vote=longest"]
    file.write_text(json.dumps(manifest))
    assert json.loads(nbest("select", "runs/c", "--select", "vote", "--json")) == plain
    assert [row.select for row in run_report("runs/c").rows] == ["vote=longest"]
    result = CliRunner().invoke(app, ["select", "runs/c", "--select", "vote=first"])
    assert "a name must be no selector's own name" in str(result.exception)
