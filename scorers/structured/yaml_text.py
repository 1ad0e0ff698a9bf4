"""YAML, without the parts that are unsafe or ambiguous, and with the types of a schema.

Scalars are those of the core schema of YAML 1.2: of plain words, `true`, `false` and `null` alone
are no texts (`no`, `1:30` and `2024-01-01` are), and a number that begins with a needless 0 is a
text. Where the schema wants a text and nothing else that the scalar could be, it is one:
`country: NO`, `zip: 01234`; where it wants a truth value, `no` is one.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nbest.scorers.structured.strict import Json, finite_float
from nbest.scorers.structured.wanted import Wanted, types_of

if TYPE_CHECKING:
    import yaml
    from yaml import SafeLoader

MAX_CHARACTERS = 1_000_000
_TAG = "tag:yaml.org,2002:"
_TEXT = f"{_TAG}str"  # of every scalar without a tag of its own
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_SAID = {"yes": True, "on": True, "no": False, "off": False}  # where a truth value is wanted


def parsed_yaml(text: str, schema: str | None) -> Json:
    """The value of the one document of a text; ValueError where it is no careful YAML.

    Tags that make objects, aliases (a short text could stand for a huge one), keys that come twice,
    numbers that are not finite, halves of characters and texts beyond a million characters are
    refused; and `note: fix #3`, of which YAML drops `#3` as a comment and nobody knows whether it
    is one. It takes long: some 50,000 characters a second.
    """
    import yaml

    if len(text) > MAX_CHARACTERS:
        raise ValueError("it is too long")
    try:
        loader = _careful_loader()(text)
        node = loader.get_single_node()
        if node is None:
            raise ValueError("it holds no document")
        return _value(loader, node, Wanted.by(schema), text.split("\n"))
    # Nested too deeply; numbers that overflow; keys that cannot be compared.
    except (yaml.YAMLError, RecursionError, ArithmeticError, TypeError) as error:
        raise ValueError("it is no careful YAML") from error


def _value(loader: SafeLoader, node: yaml.Node, wanted: Wanted, lines: Sequence[str]) -> Json:
    """The value of a node; a plain scalar is a text where the schema wants one."""
    import yaml

    if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
        loader.construct_mapping(node)  # refuses keys that come twice
        if any(key.tag != _TEXT for key, _ in node.value):
            raise ValueError("a tag of a key")
        return {
            _whole_text(key.value): _value(loader, child, wanted.of_key(key.value), lines)
            for key, child in node.value
        }
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
        children = enumerate(node.value)
        return [_value(loader, child, wanted.of_item(place), lines) for place, child in children]
    if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT:
        raise ValueError(f"the tag {node.tag} makes an object")
    text = str(node.value)
    if node.style is not None:  # in quotation marks, a block, or called a text by a tag
        return _whole_text(text)
    _require_no_comment(node, lines)
    types = wanted.types()
    if "boolean" in types and "string" not in types and text.lower() in _SAID:
        return _SAID[text.lower()]
    value = _scalar(_whole_text(text))
    is_text = "string" in types and types.isdisjoint(types_of(value))
    return text if is_text and value is not None else value


def _whole_text(text: str) -> str:
    """A text with pairs of surrogates as one character; ValueError where it holds half of one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16") if _HALF.search(text) else text


def _require_no_comment(node: yaml.Node, lines: Sequence[str]) -> None:
    """Raise ValueError where `#` without a space after it ends a plain scalar: `note: fix #3`."""
    mark = node.end_mark
    line = lines[mark.line] if mark.line < len(lines) else ""
    if _TIGHT_COMMENT.match(line, mark.column):
        raise ValueError("what may be a comment, or a part of a text")


_HALF = re.compile(r"[\ud800-\udfff]")
_TIGHT_COMMENT = re.compile(r"\s*#[^\s#!]")


def _scalar(text: str) -> Json:
    """The value of a plain scalar by the core schema."""
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return finite_float(text)
    return text


@cache
def _careful_loader() -> type[SafeLoader]:
    import yaml

    class CarefulLoader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("an alias")
            return super().compose_node(parent, index)

        def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
            event: yaml.ScalarEvent = self.peek_event()  # type: ignore[no-untyped-call]
            node = super().compose_scalar_node(anchor)
            if event.tag in (_TEXT, "!") and node.style is None:
                node.style = '"'
            return node

        def construct_mapping(
            self, node: yaml.MappingNode, deep: bool = False
        ) -> dict[Hashable, object]:
            keys = [key.value for key, _ in node.value]
            if any(isinstance(key, list) for key in keys) or len(set(keys)) < len(keys):
                raise yaml.YAMLError("a key that comes twice, or is no plain value")
            return {}

    CarefulLoader.yaml_implicit_resolvers = {}  # every plain scalar is read by `_scalar`
    return CarefulLoader
