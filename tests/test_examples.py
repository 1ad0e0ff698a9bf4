"""Every `Example:` of a docstring that needs public names alone is evaluated as it stands."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass

import pytest

import nbest

EXAMPLE = re.compile(r"Example:\s+`([^`]+)`")
# Names that an example may use besides the public ones, with what stands for them.
STAND_INS: dict[str, object] = {
    "TABLES": "CREATE TABLE t (x INTEGER)",
    "verifier": nbest.MeanLogprob(),
    "script": nbest.SeededAnswers(answers=("42",), weights=(1,)),
}


def examples() -> Iterator[tuple[str, str]]:
    for name in nbest.__all__:
        for text in EXAMPLE.findall(inspect.getdoc(getattr(nbest, name)) or ""):
            yield name, text


def names_in(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(("name", "text"), list(examples()))
def test_an_example_runs_as_it_is_written(name: str, text: str) -> None:
    known = {public: getattr(nbest, public) for public in nbest.__all__} | STAND_INS
    tree = ast.parse(text, mode="eval")
    if not isinstance(tree.body, ast.Call) or not names_in(text) <= known.keys() | {"str"}:
        pytest.skip("it calls an engine, or uses something of the reader's own")
    called = getattr(tree.body.func, "id", "")
    if called not in known or not is_dataclass(known[called]):
        pytest.skip("it calls an engine")
    assert eval(compile(tree, name, "eval"), dict(known)) is not None


def test_there_are_examples_at_all() -> None:
    assert len(list(examples())) > 25
