"""The wheel without extras: what it holds, and what works beside nothing but what it asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDERS = ("orchestrator", "scorers", "model_backend", "experiments")
HEAVY = ("torch", "vllm", "transformers", "ray", "reasoning_gym", "math_verify", "duckdb")
CONFIG = """
name: t
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "{question}"}
model: {backend: fake, answers: ["42", "41"], weights: [2, 1]}
strategy: {n: 4}
extract: last_number
grade: number
"""
PROBE = f"""
import importlib.util, nbest
for name in nbest.__all__:
    getattr(nbest, name)
print([name for name in {HEAVY!r} if importlib.util.find_spec(name)])
print(nbest.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the build leaves nothing in the repository."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("nbest", *FOLDERS):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "-w", out, source], check=True, capture_output=True)
    (built,) = out.glob("nbest-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and with no package that it does not ask for."""
    folder = tmp_path_factory.mktemp("environment")
    command = [sys.executable, "-m", "venv", "--without-pip", folder]
    subprocess.run(command, check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for needed in closure(distribution("nbest")):
        link(needed, packages)
    return folder / "bin" / "python"


def closure(root: Distribution) -> dict[Distribution, None]:
    """What a distribution asks for without extras, and what that asks for in turn."""
    wanted, found = [(root, "")], dict[str, Distribution]()
    while wanted:
        parent, extra = wanted.pop()
        for line in parent.requires or ():
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            child = distribution(requirement.name)
            if child.metadata["Name"] not in found:
                found[child.metadata["Name"]] = child
                wanted += [(child, one) for one in ("", *requirement.extras)]
    return dict.fromkeys(found.values())


def link(needed: Distribution, packages: Path) -> None:
    """Links to the files and folders of an installed distribution."""
    for top in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
        target = packages / top
        source = Path(str(needed.locate_file(top)))
        if not target.exists():
            target.symlink_to(source, target_is_directory=source.is_dir())
        elif source.is_dir():  # a namespace that several share
            for inner in source.iterdir():
                if not (target / inner.name).exists():
                    (target / inner.name).symlink_to(inner)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = [{"question": f"What is {i} + 1?", "answer": "42"} for i in range(3)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def ran(python: Path, project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-W", "error::ImportWarning", *args],
        cwd=project,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def nbest(python: Path, project: Path, *args: str) -> str:
    done = ran(python, project, "-m", "nbest", *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_in(wheel: Path) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as archive:
        yield from archive.namelist()


def test_the_wheel_holds_one_package_whole(wheel: Path) -> None:
    files = list(files_in(wheel))
    assert {name.partition("/")[0].partition("-")[0] for name in files} == {"nbest"}
    data = ("configs/demo.yaml", "pick/page.html", "pick/page.css", "pick/page.js")
    for name in (*(f"experiments/{name}" for name in data), "experiments/report/page.html"):
        assert f"nbest/{name}" in files
    sources = [path for top in FOLDERS for path in (ROOT / top).rglob("*.py")]
    assert {f"nbest/{path.relative_to(ROOT)}" for path in sources} <= set(files)
    assert "nbest/py.typed" in files


def test_every_public_name_can_be_imported(python: Path, project: Path) -> None:
    done = ran(python, project, "-c", PROBE)
    assert done.returncode == 0, done.stderr
    heavy, file = done.stdout.splitlines()
    assert heavy == "[]"
    assert Path(file).is_relative_to(python.parents[1])


def test_a_recorded_pool_is_looked_at(python: Path, project: Path) -> None:
    assert nbest(python, project, "--version").startswith("nbest ")
    assert "Ask:" in nbest(python, project, "--help")
    nbest(python, project, "run", "config.yaml", "--set", "cluster.local=true", "-q")
    nbest(python, project, "export", "runs/t", "--format", "jsonl", "--out", "pool.jsonl")
    nbest(python, project, "import", "pool.jsonl", "--out", "runs/pool", "--grade", "number")
    assert "vote" in nbest(python, project, "select", "runs/pool", "--select", "vote,shortest")
    assert "votes" in nbest(python, project, "show", "runs/pool")
    assert "config.yaml" in nbest(python, project, "init", "json")
    nbest(python, project, "view", "runs/pool", "--out", "view.html")
    nbest(python, project, "curve", "runs/pool", "--select", "vote", "--plot", "curves.svg")
    assert "<svg" in (project / "curves.svg").read_text()
    assert "samples" in nbest(python, project, "replay", "runs/pool", "--max-n", "4")
    nbest(python, project, "report", "runs/pool", "--out", "report.html")
    assert "<svg" in (project / "report.html").read_text()


def refusal(python: Path, project: Path, *args: str) -> str:
    """What a command says that cannot be done here: one line."""
    done = ran(python, project, "-m", "nbest", *args)
    assert done.returncode in (1, 2)
    (line,) = done.stderr.strip().splitlines()
    return line


def test_what_needs_an_extra_says_so_in_one_line(python: Path, project: Path) -> None:
    assert "pip install 'nbest[ray]'" in refusal(python, project, "run", "config.yaml")
    assert "pip install 'nbest[cuda]'" in refusal(python, project, "ask", "What is 1 + 1?")
    model = r"model={backend: fake, answers: ['\sqrt{8}', '2'], weights: [1, 1]}"
    changes = [word for text in (model, "extract=whole_text") for word in ("--set", text)]
    changes += ["--set", "cluster.local=true", "--out", "runs/formulas"]
    nbest(python, project, "run", "config.yaml", *changes)
    formulas = ("select", "runs/formulas", "--select", "vote", "--equivalence", "mathematics")
    assert "pip install 'nbest[math]'" in refusal(python, project, *formulas)
