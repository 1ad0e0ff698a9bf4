"""In a project whose own folders are called as nbest's are, everything works: one import name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOREIGN = ("orchestrator", "scorers", "model_backend", "experiments")
CONFIG = """
name: t
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "{question}"}
model: {backend: fake, answers: ["42", "41"], weights: [2, 1]}
strategy: {n: 4}
extract: last_number
grade: number
"""
API = """
from nbest import BestOfN, FakeBackend, LastNumber, MajorityVote, SeededAnswers, ask
backend = FakeBackend(script=SeededAnswers(answers=("42", "41"), weights=(9, 1)))
vote = BestOfN(n=16, select=MajorityVote(), extract=LastNumber())
print(ask("What is 17 + 25?", vote, backend).answer)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of somebody else; to import one of its packages would be an error."""
    for name in FOREIGN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('their {name}')\n")
    rows = [{"question": f"What is {i} + 1?", "answer": "42"} for i in range(3)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def python(project: Path, *args: str) -> str:
    """What Python prints there, with the folder first on its path."""
    done = subprocess.run(
        [sys.executable, *args],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def nbest(project: Path, *args: str) -> str:
    return python(project, "-m", "nbest", *args)


def test_the_python_api_works(project: Path) -> None:
    assert python(project, "-c", API) == "42\n"


def test_every_command_says_how_it_is_used(project: Path) -> None:
    listed = nbest(project, "--help").partition("Ask:\n")[2]
    commands = re.findall(r"^  ([a-z-]+) ", listed, re.M)
    assert len(commands) >= 12
    for command in commands:
        assert f"nbest {command} " in nbest(project, command, "-h")


def test_commands_work(project: Path) -> None:
    nbest(project, "run", "config.yaml", "--set", "cluster.local=true")
    assert "vote" in nbest(project, "select", "runs/t", "--select", "vote,first,mbr")
    assert "vote" in nbest(project, "curve", "runs/t", "--select", "vote")
    assert "samples" in nbest(project, "replay", "runs/t", "--max-n", "4")
    nbest(project, "export", "runs/t", "--format", "jsonl", "--out", "pool.jsonl")
    nbest(project, "import", "pool.jsonl", "--out", "runs/again", "--grade", "number")
    nbest(project, "report", "runs/t", "runs/again", "--out", "report.html")
    assert "answer: " in nbest(project, "ask", "What is 41 + 1?", "--backend", "fake")
    assert "python" in nbest(project, "doctor")


@pytest.mark.ray
def test_a_run_under_ray_works(project: Path) -> None:
    """Ray's workers put the folder in which the command was given first on their path."""
    said = nbest(project, "run", "config.yaml", "--json", "-q")
    assert json.loads(said)["accuracy"] > 0
