"""Reads `name(value, key=value, ...)`: how a config or an option names an object with settings.

The text is parsed, never run: values are literals (text, numbers, true, false, null, lists,
mappings) or expressions again, as in `weighted_vote(by=mean_logprob)`. A regular expression is best
written `r"..."`, as in Python.

It knows no name and no class.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbest.experiments.language.text import shown
from nbest.orchestrator.errors import InputError

MAX_CHARACTERS = 10_000
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
LAYOUT = "\n\r\t"  # the control characters that a setting may hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """`random(seed=3)` has the name `random` and the arguments `{"seed": 3}`."""

    text: str
    name: str
    arguments: Mapping[str, object]
    positional: tuple[object, ...] = ()  # values without a key: of the first settings, in order

    def named(self, settings: Sequence[str]) -> dict[str, object]:
        """All arguments by their keys, of which these are the first; InputError where one is twice.

        >>> parse_expression("ensemble(a, weights=b)").named(["by", "weights"]).keys()
        dict_keys(['by', 'weights'])
        """
        if len(self.positional) > len(settings):
            count = len(settings)
            raise InputError(f"{self.name} must have at most {count} arguments, got {self.text}")
        given = dict(zip(settings, self.positional, strict=False))
        for key in given:
            if key in self.arguments:
                raise InputError(f"every argument must be given once, got {shown(self.text)}")
        return {**given, **self.arguments}


def split_expressions(text: str) -> tuple[str, ...]:
    """Split a list of expressions into their texts: `vote,random(seed=3)` into two."""
    return tuple(expression.text for expression in parse_expressions(text))


def parse_expression(text: str) -> Expression:
    """Parse one expression; InputError where there are several."""
    expressions = parse_expressions(text)
    if len(expressions) != 1:
        raise InputError(f"must be one name or name(key=value), got {shown(text)}")
    return expressions[0]


def parse_expressions(text: str) -> tuple[Expression, ...]:
    """Parse expressions separated by commas: `vote,random(seed=3)`."""
    node = _parse(text)
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    return tuple(_expression(n, ast.get_source_segment(text.strip(), n) or text) for n in nodes)


def _parse(text: str) -> ast.expr:
    problem = f"must look like name or name(key=value), got {shown(text)}"
    if len(text) > MAX_CHARACTERS:
        raise InputError(problem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python would have "\d" written as r"\d"; both work
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(problem) from error


def _expression(node: ast.expr, source: str) -> Expression:
    if isinstance(node, ast.Name):
        return Expression(text=source, name=node.id, arguments={})
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise InputError(f"must look like name or name(key=value), got {shown(source)}")
    is_starred = any(isinstance(a, ast.Starred) for a in node.args)
    if is_starred or any(k.arg is None for k in node.keywords):
        raise InputError(f"every argument must look like value or key=value, got {shown(source)}")
    name, keys = node.func.id, [k.arg for k in node.keywords]
    if len(set(keys)) < len(keys):
        raise InputError(f"every argument must be given once, got {shown(source)}")
    arguments = {k.arg: _literal(k.value, f"{name}: {k.arg}") for k in node.keywords if k.arg}
    places = enumerate(node.args, start=1)
    positional = tuple(_literal(value, f"{name}: argument {place}") for place, value in places)
    return Expression(text=source, name=name, arguments=arguments, positional=positional)


def _literal(node: ast.expr, key: str) -> object:
    """The value that a node spells."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return _checked_text(node.value, key) if isinstance(node.value, str) else node.value
    if isinstance(node, ast.Name) and node.id in WORDS:
        return WORDS[node.id]
    if isinstance(node, ast.Name | ast.Call):
        return _expression(node, ast.unparse(node))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _literal(node.operand, key)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(child, key) for child in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        return _mapping(node, key)
    raise InputError(f"{key} must be a plain value, got {shown(ast.unparse(node))}")


def _mapping(node: ast.Dict, key: str) -> dict[str, object]:
    """The mapping that a node spells; a bare word as a key is that text."""
    values: dict[str, object] = {}
    for name_node, node_of_value in zip(node.keys, node.values, strict=True):
        name = name_node.id if isinstance(name_node, ast.Name) else None
        if isinstance(name_node, ast.Constant):
            name = str(_literal(name_node, key))
        if name is None:
            raise InputError(f"{key} must have texts for keys, got {shown(ast.unparse(node))}")
        if name in values:
            raise InputError(f"{key} must have every key once, got {name!r} twice")
        values[name] = _literal(node_of_value, key)
    return values


def _checked_text(text: str, key: str) -> str:
    r"""Refuse control characters: `"\bword"` would search for a backspace."""
    if any(ord(c) < 32 and c not in LAYOUT for c in text):
        raise InputError(
            f'{key} must hold no control character (write a pattern r"..."), got {text!r}'
        )
    return text
