"""What the documentation names is there: files, modules, public names, commands, options."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import nbest

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
# Where CONTRIBUTING names a file by its room alone.
ROOMS = ("", "experiments", "orchestrator", "orchestrator/cluster")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))


def code_blocks(page: Path, language: str) -> list[str]:
    parts = re.split(r"^```(\w*)\n", page.read_text(), flags=re.M)
    opened = zip(parts[1::4], parts[2::4], strict=True)  # of two fences, the second closes
    return [text for name, text in opened if name == language]


@each_page
def test_files_that_are_named_are_there(page: Path) -> None:
    top = {path.name for path in ROOT.iterdir()}
    named = set(re.findall(r"`([\w.]+(?:/[\w.]+)*/?)`", page.read_text()))
    paths = {name for name in named if name.endswith(".py") or name.partition("/")[0] in top}
    absent = {name for name in paths if not any((ROOT / room / name).exists() for room in ROOMS)}
    assert absent - {"runs/demo"} == set()


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@each_page
def test_modules_that_are_named_can_be_imported(page: Path) -> None:
    modules = set(re.findall(r"python -m ([\w.]+\w)\b(?!\.)", page.read_text()))
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


@each_page
def test_public_names_that_are_named_are_public(page: Path) -> None:
    names = set(re.findall(r"`nbest\.(\w+)`", page.read_text()))
    groups = {"scorers", "validators", "equivalences", "extractors", "searches"}
    assert names - groups <= {*nbest.__all__}


@each_page
def test_examples_in_python_import_what_there_is(page: Path) -> None:
    for block in code_blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "nbest":
                assert {alias.name for alias in node.names} <= set(nbest.__all__)


@cache
def help_of(command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nbest", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else ""


@each_page
def test_commands_and_options_that_are_shown_exist(page: Path) -> None:
    for block in code_blocks(page, ""):
        for line in block.replace("\\\n", " ").splitlines():
            shown = re.match(r"(?:\.venv/bin/)?nbest ((?:bench )?[a-z-]+)(?=\s|$)(.*)", line)
            if shown is None:
                continue
            command, rest = shown.groups()
            assert help_of(command), f"no command {command!r}"
            for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)):
                assert option in help_of(command), f"nbest {command} has no {option}"
