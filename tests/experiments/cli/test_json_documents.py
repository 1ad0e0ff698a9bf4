"""`--json` of every command: one document that parses, with a version, and keys that stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.cli.display.documents import VERSION
from tests.model_backend.tiny_model import write_tiny_model

CONFIG = """
name: j
dataset: {kind: jsonl, path: q.jsonl}
prompt: {template: "{question}"}
model: {backend: fake}
strategy: {n: 8}
select: [vote, first]
extract: last_number
grade: number
cluster: {local: true}
"""

# What each command is called with, and the keys that its document has, whatever else it has.
ROWS = {"rows", "baselines", "samples"}
COMMANDS: dict[str, tuple[str, set[str]]] = {
    "run": ("run c.yaml --out fresh --quiet", {"select", "accuracy", *ROWS}),
    "run --dry-run": (
        "run c.yaml --dry-run",
        {"questions", "bad_questions", "samples_each", "first_prompt", "arms", "notes"},
    ),
    "select": ("select r --select vote,first", {"select", "accuracy", *ROWS}),
    "select --max-risk": ("select r --select vote --max-risk 0.2", {"rows"}),
    "select without gold": ("select bare --select vote", {"rows", "samples"}),
    "ask": ("ask hello --backend fake -n 3", {"answer", "confidence"}),
    "curve": ("curve r --select vote", {"rows", "notes"}),
    "replay": ("replay r --strategy adaptive --max-n 4", {"accuracy", "accuracy_fixed", "saving"}),
    "verify": ("verify c.yaml --out own --sample 5", {"stored", "drawn", "equal", "rows"}),
    "grade": (
        "grade own --backend fake --name a",
        {"name", "asked", "failed", "right", "wrong", "neither", "agreement", "tokens"},
    ),
    "fit-weights": (
        "fit-weights arms --folds 3",
        {"weights", "folds", "select", "accuracy", "gain"},
    ),
    "ask --schema": (
        "ask hello --backend fake -n 3 --schema {}",
        {"answer", "value", "layer", "changes", "agreement", "fields"},
    ),
    "check": ("check r", {"layers", "invalid", "truncated", "made", "reasons", "fields"}),
    "list": ("list selectors", {"selectors"}),
    "list of all": ("list", {"selectors", "extractors", "graders", "datasets", "plugins"}),
    "config": ("config sampling", {"keys"}),
    "runs": ("runs .", {"runs"}),
    "doctor": ("doctor", {"findings"}),
    "train-verifier": (
        "train-verifier t --out v --base tiny --epochs 1 --quiet",
        {"settings", "train", "held_out", "steps", "seconds"},
    ),
}
# They take minutes, or need a model: each is read as JSON by a test of its own.
MEASURED = {
    f"bench {name}"
    for name in (
        "control",
        "selectors",
        "estimates",
        "endpoint",
        "engine",
        "reward",
        "race",
        "faults",
        "schedule",
        "statistics",
        "search",
    )
}


def with_json(command: Any, *path: str) -> Iterator[str]:
    """Yield the commands that have `--json`; `command` is one of click's, which typer brings."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from with_json(inner, *path, name)
    elif any("--json" in parameter.opts for parameter in command.params):
        yield " ".join(path)


def test_every_command_with_json_is_in_the_table() -> None:
    ours = {" ".join(words.split()[:1]) for words, _ in COMMANDS.values()}
    assert set(with_json(typer.main.get_command(app))) == ours | MEASURED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, one of them without gold answers, one to learn from, and a tiny model."""
    folder = tmp_path_factory.mktemp("json")
    rows = [{"id": f"q{i}", "question": f"{i}?", "answer": "42"} for i in range(12)]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "c.yaml").write_text(CONFIG)
    pools: dict[str, Callable[[int], dict[str, object]]] = {
        "r": lambda i: {"gold": "42", "samples": [{"text": "42"}, {"text": f"{i}"}] * 4},
        "arms": lambda i: {
            "gold": "42",
            "samples": [{"text": "42", "arm": "a"}, {"text": f"{i}", "arm": "b"}],
        },
        "bare": lambda i: {"samples": [{"text": "42"}, {"text": f"{i}"}]},
        "t": lambda i: {
            "gold": "abcdefgh"[i % 8],
            "prompt": f"x {i % 10} {'abcdefgh'[i % 8]} ?",
            "samples": [{"text": " abcdefgh"[1 + i % 8]}, {"text": "z"}],
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, line in pools.items():
            lines = [{"id": f"q{i}", **line(i)} for i in range(12)]
            Path(f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
            assert (
                CliRunner().invoke(app, ["import", f"{name}.jsonl", "--out", name]).exit_code == 0
            )
        assert CliRunner().invoke(app, ["run", "c.yaml", "--out", "own", "--quiet"]).exit_code == 0
    write_tiny_model(folder / "tiny")
    return folder


@pytest.mark.filterwarnings("ignore")  # of torch and transformers
@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_one_document_that_parses(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words, keys = COMMANDS[name]
    result = CliRunner().invoke(app, [*words.split(), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout, parse_constant=pytest.fail)  # NaN is no JSON
    assert document["version"] == VERSION
    assert keys <= document.keys()
