"""Reads `name(value, key=value, ...)`: how a config or an option names an object with settings.

The text is parsed, never run: values are literals (text, numbers, true, false, null, lists,
mappings) or expressions again, as in `weighted_vote(by=mean_logprob)`. A regular expression is best
written `r"..."`, as in Python. `@schema.sql` stands for the text of a file, `mine.py:FewestWords`
is the name of a class in a file, and `label=vote` gives an expression a name of its own.

It knows no name and no class.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from nbest.experiments.language.code_files import CODE, QUOTED
from nbest.experiments.language.text import shown
from nbest.orchestrator.errors import InputError

MAX_CHARACTERS = 10_000  # outside quoted texts
MAX_FILE = 1_000_000  # characters of a file that stands for a text
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
FILE = r"@(?P<file>[\w./~+-]+)"  # whose text stands for a quoted one
LAYOUT = "\n\r\t"  # the control characters that a setting may hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """`random(seed=3)` has the name `random` and the arguments `{"seed": 3}`."""

    text: str
    name: str
    arguments: Mapping[str, object]
    label: str = ""  # of `label=expression`
    trusted: bool = False  # whether code in files, and texts of files, may be read for it
    positional: tuple[object, ...] = ()  # values without a key: of the first settings, in order

    @property
    def shown(self) -> str:
        """How tables name it: by its label, or as it is written."""
        return self.label or self.text

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


def parse_expression(text: str, *, trusted: bool = False) -> Expression:
    """Parse one expression; InputError where there are several."""
    expressions = parse_expressions(text, trusted=trusted)
    if len(expressions) != 1:
        raise InputError(f"must be one name or name(key=value), got {shown(text)}")
    return expressions[0]


def parse_expressions(text: str, *, trusted: bool = False) -> tuple[Expression, ...]:
    """Parse expressions separated by commas: `vote,random(seed=3)`.

    Files are read, and code in them may be run, only for a text that is `trusted`: one that the
    user has typed, or written into the config that is run. What a stored run holds may be
    somebody else's.
    """
    source = Source(text.strip(), trusted=trusted)
    node = source.parse()
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    return tuple(_labelled(source, n) for n in nodes)


def with_files(text: str) -> str:
    """Put the text of a file in the place of each `@file`, as a quoted text.

    InputError where it cannot be read. It is for texts that are trusted.
    """

    def replaced(match: re.Match[str]) -> str:
        return match[0] if match["file"] is None else repr(_text_of(match["file"]))

    return re.sub(rf"{QUOTED}|{FILE}", replaced, text, flags=re.DOTALL)


def _text_of(file: str) -> str:
    path = Path(file).expanduser()
    try:
        if not path.is_file():  # a device or a pipe may have no end
            raise InputError(f"@{file} must be a file of text that can be read")
        with path.open(encoding="utf-8") as stream:
            content = stream.read(MAX_FILE + 1)
    except (OSError, UnicodeError) as error:
        raise InputError(f"@{file} must be a file of text that can be read") from error
    if len(content) > MAX_FILE:
        raise InputError(f"@{file} must hold at most {MAX_FILE:,} characters, got more")
    return content.strip()


class Source:
    """The text of expressions, made ready for Python's parser.

    It has no `file.py:Class`, no `@file` and no `label=expression`. Names and signs that it has
    stand for them, as long as they are, so that places in the text stay what they are.
    """

    def __init__(self, text: str, *, trusted: bool) -> None:
        self.trusted = trusted
        self._text = text
        self._names: dict[str, str] = {}
        bare = re.sub(f"{QUOTED}|{FILE}", '""', text, flags=re.DOTALL)
        self._problem = f"must look like name or name(key=value), got {shown(text)}"
        if len(bare) > MAX_CHARACTERS or "@" in bare:  # which will stand for the = of a label
            raise InputError(self._problem)
        pattern = rf"{QUOTED}|(?P<code>{CODE})|{FILE}"
        self._ready = _with_labels(re.sub(pattern, self._stand_in, text, flags=re.DOTALL))

    def _stand_in(self, match: re.Match[str]) -> str:
        if match["code"] is None and match["file"] is None:
            return match[0]
        length = len(match[0].encode())  # columns count bytes
        names = (f"f{place}".ljust(length, "_")[:length] for place in count())
        name = next(n for n in names if n not in self._text and n not in self._names)
        self._names[name] = match[0]
        return name

    def parse(self) -> ast.expr:
        """Parse the text; InputError where it is no expression."""
        try:
            with warnings.catch_warnings():
                # Python would have "\d" written as r"\d"; both work.
                warnings.simplefilter("ignore")
                return ast.parse(self._ready, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(self._problem) from error

    def name(self, name: str) -> str:
        """A name as it was written."""
        return self._names.get(name, name)

    def file_text(self, name: str) -> str | None:
        """The text of the file that a name stands for; None where it stands for none.

        InputError where the expression is not trusted.
        """
        written = self.name(name)
        if not written.startswith("@"):
            return None
        if not self.trusted:
            raise InputError(f"{written}: nbest reads a file only if you name it yourself")
        return _text_of(written.removeprefix("@"))

    def of(self, node: ast.expr) -> str:
        """The text of a node as it was written."""
        # Lines and columns are the same in both texts.
        return ast.get_source_segment(self._text, node) or self._text


def _with_labels(text: str) -> str:
    """Write each `=` outside brackets and quoted texts, that of a label, as `@`."""
    depth = 0
    parts = []
    for token in re.split(rf"({QUOTED}|[()\[\]{{}}=])", text, flags=re.DOTALL):
        depth += (token in "([{") - (token in ")]}") if len(token) == 1 else 0
        parts.append("@" if token == "=" and depth == 0 else token)
    return "".join(parts)


def _labelled(source: Source, node: ast.expr) -> Expression:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)):
        return _expression(source, node)
    whole = source.of(node)
    if not isinstance(node.left, ast.Name) or node.left.id != source.name(node.left.id):
        raise InputError(f"must look like label=name(key=value), got {shown(whole)}")
    return replace(_expression(source, node.right), text=whole, label=node.left.id)


def _expression(source: Source, node: ast.expr) -> Expression:
    text = source.of(node)
    if isinstance(node, ast.Name):
        return Expression(
            text=text, name=source.name(node.id), arguments={}, trusted=source.trusted
        )
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise InputError(f"must look like name or name(key=value), got {shown(text)}")
    is_starred = any(isinstance(a, ast.Starred) for a in node.args)
    if is_starred or any(k.arg is None for k in node.keywords):
        raise InputError(f"every argument must look like value or key=value, got {shown(text)}")
    name, keys = source.name(node.func.id), [k.arg for k in node.keywords]
    if len(set(keys)) < len(keys):
        raise InputError(f"every argument must be given once, got {shown(text)}")
    arguments = {
        k.arg: _literal(source, k.value, f"{name}: {k.arg}") for k in node.keywords if k.arg
    }
    places = enumerate(node.args, start=1)
    positional = tuple(
        _literal(source, value, f"{name}: argument {place}") for place, value in places
    )
    return Expression(
        text=text,
        name=name,
        arguments=arguments,
        positional=positional,
        trusted=source.trusted,
    )


def _literal(source: Source, node: ast.expr, key: str) -> object:
    """The value that a node spells."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return _checked_text(node.value, key) if isinstance(node.value, str) else node.value
    if isinstance(node, ast.Name) and node.id in WORDS:
        return WORDS[node.id]
    if isinstance(node, ast.Name) and (text := source.file_text(node.id)) is not None:
        return _checked_text(text, key)
    if isinstance(node, ast.Name | ast.Call):
        return _expression(source, node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _literal(source, node.operand, key)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(source, child, key) for child in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        return _mapping(source, node, key)
    raise InputError(f"{key} must be a plain value, got {shown(source.of(node))}")


def _mapping(source: Source, node: ast.Dict, key: str) -> dict[str, object]:
    """The mapping that a node spells; a bare word as a key is that text."""
    values: dict[str, object] = {}
    for name_node, node_of_value in zip(node.keys, node.values, strict=True):
        name = source.name(name_node.id) if isinstance(name_node, ast.Name) else None
        if isinstance(name_node, ast.Constant):
            name = str(_literal(source, name_node, key))
        if name is None:
            raise InputError(f"{key} must have texts for keys, got {shown(source.of(node))}")
        if name in values:
            raise InputError(f"{key} must have every key once, got {name!r} twice")
        values[name] = _literal(source, node_of_value, key)
    return values


def _checked_text(text: str, key: str) -> str:
    r"""Refuse control characters: `"\bword"` would search for a backspace."""
    if any(ord(c) < 32 and c not in LAYOUT for c in text):
        raise InputError(
            f'{key} must hold no control character (write a pattern r"..."), got {text!r}'
        )
    return text
