"""The import law: which room may name which. Read from the source, so nothing has to be run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("orchestrator", "scorers", "model_backend", "experiments")
NOUNS = {
    f"orchestrator.{name}"
    for name in ("types", "sampling_params", "requirements", "protocols", "errors", "reasoning")
}
# Parts of the contract of a backend, which all of them would write alike.
BACKEND_NOUNS = NOUNS | {
    "orchestrator.engines.aborts",
    "orchestrator.engines.batches",
    "orchestrator.files",
    "orchestrator.tasks",
}
HEAVY = {"torch", "vllm", "transformers", "ray"}
PICTURES_AND_NETWORK = {"aiohttp", "httpx", "matplotlib", "openai"}
IMPURE = {
    "asyncio",
    "http",
    "httpx",
    "io",
    "os",
    "pathlib",
    "random",
    "requests",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "time",
    "urllib",
}
# What the sandboxes, the only scorers that touch the world, need for that.
SANDBOXES = "scorers/sandboxes/"
PROCESSES = {"asyncio", "os", "pathlib", "secrets", "shutil", "subprocess", "time"}


@dataclass(frozen=True, kw_only=True)
class Import:
    """One module that a file names."""

    file: str  # from the root of the repository
    line: int
    module: str  # in full; of ours without `nbest.`: `orchestrator.types`
    is_ours: bool
    is_lazy: bool  # inside a function, or for the type checker only

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def folder(self) -> str:
        return self.file.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports_of(file: Path, root: Path = ROOT) -> Iterator[Import]:
    def visit(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            for module in _modules(child):
                yield Import(
                    file=str(file.relative_to(root)),
                    line=child.lineno,
                    module=module.removeprefix("nbest."),
                    is_ours=module.partition(".")[0] == "nbest",
                    is_lazy=is_lazy,
                )
            yield from visit(child, is_lazy or _hides(child))

    yield from visit(ast.parse(file.read_text()), False)


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide what they name"
        if node.module == "nbest":
            return [f"nbest.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def _hides(node: ast.AST) -> bool:
    is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def sources() -> list[Path]:
    """Every file of the four folders, however deep its room is."""
    return [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]


def everything() -> list[Import]:
    return [found for file in sources() for found in imports_of(file)]


def broken(found: Import) -> str:
    """The rule that an import breaks; empty when it breaks none."""
    if found.top in FOLDERS and not found.is_ours:
        return "one import name: nbest"
    return RULES[found.folder](found)


def _orchestrator(found: Import) -> str:
    if found.is_ours and found.top != "orchestrator":
        return "orchestrator imports itself only"
    if found.top == "ray" and not found.file.startswith("orchestrator/cluster/"):
        return "only the cluster's files import ray"
    if found.top in (HEAVY - {"ray"}) | PICTURES_AND_NETWORK:
        return "orchestrator knows no model and no picture"
    return ""


def _scorers(found: Import) -> str:
    if found.is_ours and found.module not in NOUNS and found.top != "scorers":
        return "scorers import the nouns only"
    allowed = PROCESSES if found.file.startswith(SANDBOXES) else set()
    if found.top in (HEAVY | IMPURE) - allowed:
        return "scorers are arrays in, arrays out"
    return ""


def _model_backend(found: Import) -> str:
    if found.is_ours and found.module not in BACKEND_NOUNS and found.top != "model_backend":
        return "model_backend imports the nouns only"
    if found.top == "ray":
        return "model_backend knows no cluster"
    if found.top in HEAVY and not found.is_lazy:
        return "engines are imported when they start"
    return ""


def _experiments(found: Import) -> str:
    if found.top in HEAVY and not found.is_lazy:
        return "a command line that prints its help imports no engine"
    return ""


RULES = {
    "orchestrator": _orchestrator,
    "scorers": _scorers,
    "model_backend": _model_backend,
    "experiments": _experiments,
}


def test_the_law_holds() -> None:
    faults = [f"{found}: {rule}" for found in everything() if (rule := broken(found))]
    assert faults == []


def test_the_law_reads_every_file() -> None:
    """By another way of walking than `sources`; a room that was passed over would be lawless."""
    listed = [
        Path(folder) / name
        for top in FOLDERS
        for folder, _, names in os.walk(ROOT / top)
        for name in names
        if name.endswith(".py")
    ]
    assert sorted(sources()) == sorted(listed)
    assert len(listed) > 250


def test_tests_and_the_facade_use_the_one_name_too() -> None:
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "nbest").glob("*.py")]
    named = [found for file in files for found in imports_of(file)]
    assert [str(found) for found in named if found.top in FOLDERS and not found.is_ours] == []


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_no_circles_between_modules() -> None:
    """Imports inside functions and for the type checker count: a circle is one to its reader."""
    known = {module_of(str(file.relative_to(ROOT))) for file in sources()}
    graph: dict[str, set[str]] = {name: set() for name in known}
    for found in everything():
        if found.module in known:
            graph[module_of(found.file)].add(found.module)

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for step in graph[start] - seen:
            seen.add(step)
            if step == goal or reaches(step, goal, seen):
                return True
        return False

    assert [name for name in graph if reaches(name, name, set())] == []


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("orchestrator/x.py", "import vllm", "knows no model"),
        ("orchestrator/room/x.py", "def f():\n    import torch", "knows no model"),
        ("orchestrator/x.py", "from nbest.scorers import First", "itself only"),
        ("orchestrator/x.py", "from nbest import scorers", "itself only"),
        ("orchestrator/x.py", "import ray", "only the cluster's files"),
        ("orchestrator/cluster/x.py", "import ray", ""),
        ("orchestrator/x.py", "from orchestrator.types import Query", "one import name"),
        (
            "scorers/x.py",
            "from nbest.orchestrator.strategies.best_of_n import BestOfN",
            "the nouns only",
        ),
        ("scorers/x.py", "from nbest import BestOfN", "the nouns only"),
        ("scorers/x.py", "import random", "arrays in, arrays out"),
        ("scorers/x.py", "from nbest.orchestrator.types import Sample", ""),
        ("scorers/x.py", "import subprocess", "arrays in, arrays out"),
        ("scorers/sandboxes/python.py", "import subprocess", ""),
        ("scorers/sandboxes/python.py", "import socket", "arrays in, arrays out"),
        ("scorers/room/sandbox.py", "import subprocess", "arrays in, arrays out"),
        ("model_backend/x.py", "import vllm", "when they start"),
        ("model_backend/x.py", "def f():\n    import vllm", ""),
        ("model_backend/x.py", "from nbest.scorers import First", "the nouns only"),
        ("experiments/x.py", "import ray", "no engine"),
        ("experiments/room/x.py", "import scorers.vote", "one import name"),
    ],
)
def test_the_test_itself_sees_what_it_should(
    file: str, source: str, rule: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (found,) = imports_of(path, tmp_path)
    assert rule in broken(found)
    assert bool(broken(found)) == bool(rule)


def test_files_and_functions_stay_small() -> None:
    """A file is split at 300 lines, a function at 40."""
    long = []
    for file in sources():
        text = file.read_text()
        if text.count("\n") > 300:
            long.append(str(file))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                # The options of a command, each with its help, are a table and no code.
                size = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                if size > 40:
                    long.append(f"{file}:{node.name}")
    assert long == []
