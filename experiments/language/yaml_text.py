"""Reads YAML that a stranger may have written: plain data only, and the line of every key.

Refused: tags (they name code), anchors and aliases (nine lines of them grow to gigabytes), keys
given twice (the first would be lost in silence), deep nesting, a second document, more than 1 MB
or 50,000 keys and values (which bounds the time that reading takes).

It knows no config.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from nbest.experiments.language.text import shown
from nbest.orchestrator.errors import InputError

COMMENTED = "a # after a space begins a comment, so this is empty: put the value in quotes"
MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 50_000  # keys, values and the collections that hold them

KeyPath = tuple[str | int, ...]


class PlainLoader(yaml.CSafeLoader):
    """YAML without the traps of 1.1: `no`, `1:30`, `010` and dates are texts, 1e-5 is a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name, read by its resolver
        first: [(tag, regexp) for tag, regexp in rules if tag.endswith(":null")]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_NUMBER = list("-+.0123456789")
_RULES = (
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$", _NUMBER),
    (
        "float",
        r"[-+]?(?:(?:(?:0|[1-9][0-9_]*)\.[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
        r"|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        _NUMBER,
    ),
)
for _kind, _rule, _first in _RULES:
    PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_rule), _first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The value of a YAML text, and the lines of its keys."""

    value: object
    lines: Mapping[KeyPath, int] = field(default_factory=dict)  # of a key or an entry, from 1


def read_yaml(path: Path) -> Document:
    """Read the document in a file."""
    if path.is_dir():
        raise InputError(f"{path}: must be a file, got a directory")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, source: str) -> Document:
    """Parse the document in a text; `source` names it in errors."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{source}: must be at most {MAX_BYTES} bytes of YAML, got more")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{source}:{line}: must be UTF-8 text, got other bytes") from error
    try:
        _check_events(text, source)
        return _Reader(text, source).document()
    except yaml.MarkedYAMLError as error:
        place = "" if (m := error.problem_mark) is None else f":{m.line + 1}:{m.column + 1}"
        raise InputError(f"{source}{place}: broken YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise InputError(f"{source}:{line}: broken YAML: {error.reason}") from error


def _check_events(text: str, source: str) -> None:
    """Refuse what is not allowed, before anything is built."""
    depth = documents = nodes = 0
    for event in yaml.parse(text, Loader=PlainLoader):
        where = f"{source}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if getattr(event, "anchor", None):  # of an alias, too
            raise InputError(f"{where}: YAML anchors and aliases are not allowed")
        if tag := getattr(event, "tag", None):
            raise InputError(f"{where}: YAML tags are not allowed, got {shown(tag)}")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise InputError(f"{where}: YAML must nest at most {MAX_DEPTH} deep, got more")
        if nodes > MAX_NODES:
            raise InputError(f"{where}: YAML must hold at most {MAX_NODES} keys and values")
        if documents > 1:
            raise InputError(f"{where}: must hold one YAML document, got a second")


class _Reader:
    """Builds the values of one text and notes their lines."""

    def __init__(self, text: str, source: str) -> None:
        self._loader = PlainLoader(text)
        self._text_lines = text.splitlines()
        self._source = source
        self._lines: dict[KeyPath, int] = {}

    def document(self) -> Document:
        node = self._loader.get_single_node()
        value = None if node is None else self._value(node, ())
        return Document(value=value, lines=self._lines)

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, i)) for i, child in enumerate(node.value)]
        if not node.value and self._is_cut_by_comment(node):
            raise self._refusal(node, COMMENTED)
        try:
            scalar: object = self._loader.construct_object(node)
        except ValueError as error:  # a whole number of thousands of digits
            raise self._refusal(node, f"cannot be read: {error}") from error
        return scalar

    def _is_cut_by_comment(self, node: yaml.Node) -> bool:
        """Whether an empty value stands before a # that may be meant: `answer_after: ####`."""
        mark = node.start_mark
        line = self._text_lines[mark.line] if mark.line < len(self._text_lines) else ""
        return re.match(r"[^#]*:[ \t]+#[^\s]", line) is not None and line.find("#") >= mark.column

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in values:
                raise self._refusal(key_node, f"the key {shown(key)} is given twice")
            self._lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, (*path, key))
        return values

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str"):
            return str(node.value)
        raise self._refusal(node, f"a key must be text, got {shown(node.value)}")

    def _refusal(self, node: yaml.Node, what: str) -> InputError:
        return InputError(f"{self._source}:{node.start_mark.line + 1}: {what}")
