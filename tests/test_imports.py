"""The import law: which folder may name which. Read from the source, so nothing has to be run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("orchestrator", "scorers", "model_backend", "experiments")
NOUNS = {"orchestrator.types", "orchestrator.protocols", "orchestrator.errors"}
HEAVY = {"torch", "vllm", "transformers", "ray"}
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


@dataclass(frozen=True, kw_only=True)
class Import:
    """One module that a file names."""

    file: Path
    line: int
    module: str  # in full, as `orchestrator.types`
    is_lazy: bool  # inside a function, or for the type checker only

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def folder(self) -> str:
        return self.file.parent.name

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def imports_of(file: Path) -> Iterator[Import]:
    def visit(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            for module in _modules(child):
                yield Import(file=file, line=child.lineno, module=module, is_lazy=is_lazy)
            yield from visit(child, is_lazy or _hides(child))

    yield from visit(ast.parse(file.read_text()), False)


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide what they name"
        return [node.module or ""]
    return []


def _hides(node: ast.AST) -> bool:
    is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


# The files of `scorers` that touch the world, each with what it needs for that.
NAMED_EXCEPTIONS: dict[str, set[str]] = {
    "math_process.py": {"asyncio", "subprocess", "time"},
    "sandbox.py": {"asyncio", "os", "pathlib", "secrets", "shutil", "subprocess"},
}


def everything() -> list[Import]:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).glob("*.py"))]
    return [found for file in files for found in imports_of(file)]


def broken(found: Import) -> str:
    """The rule that an import breaks; empty when it breaks none."""
    return RULES[found.folder](found)


def _orchestrator(found: Import) -> str:
    if found.top in FOLDERS and found.top != "orchestrator":
        return "orchestrator imports itself only"
    if found.top == "ray" and not found.file.name.startswith("cluster"):
        return "only the cluster's files import ray"
    if found.top in {"torch", "vllm", "transformers", "httpx", "openai", "matplotlib"}:
        return "orchestrator knows no model and no picture"
    return ""


def _scorers(found: Import) -> str:
    if found.top in FOLDERS and found.module not in NOUNS and found.top != "scorers":
        return "scorers import the nouns only"
    if found.top in (HEAVY | IMPURE) - NAMED_EXCEPTIONS.get(found.file.name, set()):
        return "scorers are arrays in, arrays out"
    return ""


def _model_backend(found: Import) -> str:
    # Parts of the contract of a backend, which all of them would write alike.
    nouns = NOUNS | {"orchestrator.aborts", "orchestrator.batches", "orchestrator.tasks"}
    if found.top in FOLDERS and found.module not in nouns and found.top != "model_backend":
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


def test_no_import_cycles_between_modules() -> None:
    graph: dict[str, set[str]] = {}
    for found in everything():
        name = f"{found.folder}.{found.file.stem}"
        if found.top in FOLDERS and not found.is_lazy:
            graph.setdefault(name, set()).add(found.module)

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for step in graph.get(start, set()) - seen:
            seen.add(step)
            if step == goal or reaches(step, goal, seen):
                return True
        return False

    assert [name for name in graph if reaches(name, name, set())] == []


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("orchestrator/x.py", "import vllm", "knows no model"),
        ("orchestrator/x.py", "def f():\n    import torch", "knows no model"),
        ("orchestrator/x.py", "from scorers import First", "itself only"),
        ("orchestrator/x.py", "import ray", "only the cluster's files"),
        ("orchestrator/cluster_x.py", "import ray", ""),
        ("scorers/x.py", "from orchestrator.strategies import BestOfN", "the nouns only"),
        ("scorers/x.py", "import random", "arrays in, arrays out"),
        ("scorers/x.py", "from orchestrator.types import Sample", ""),
        ("scorers/x.py", "import subprocess", "arrays in, arrays out"),
        ("scorers/sandbox.py", "import subprocess", ""),
        ("scorers/sandbox.py", "import socket", "arrays in, arrays out"),
        ("model_backend/x.py", "import vllm", "when they start"),
        ("model_backend/x.py", "def f():\n    import vllm", ""),
        ("model_backend/x.py", "from scorers import First", "the nouns only"),
        ("experiments/x.py", "import ray", "no engine"),
    ],
)
def test_the_test_itself_sees_what_it_should(
    file: str, source: str, rule: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(source)
    (found,) = imports_of(path)
    assert rule in broken(found)
    assert bool(broken(found)) == bool(rule)


def test_files_and_functions_stay_small() -> None:
    """A file is split at 300 lines, a function at 40."""
    long = []
    for folder in FOLDERS:
        for file in (ROOT / folder).glob("*.py"):
            text = file.read_text()
            if text.count("\n") > 300:
                long.append(f"{folder}/{file.name}")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    # The options of a command, each with its help, are a table and no code.
                    size = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
                    if size > 40:
                        long.append(f"{folder}/{file.name}:{node.name}")
    assert long == []
