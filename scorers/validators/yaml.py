"""YAML, without the parts that are unsafe or ambiguous."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.validators.json_schema import schema_text, schema_validator
from nbest.scorers.validators.rules import Flags, Of, flags_in_children

if TYPE_CHECKING:
    import yaml
    from yaml import SafeLoader

MAX_CHARACTERS = 1_000_000
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
YAML_S = 20.0  # for one text: PyYAML reads some 50,000 characters a second


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValid:
    """The text is one YAML document, and satisfies a JSON schema where one is given.

    An empty text is none, and so is a plain text without a schema that wants one: every sentence
    would be YAML. A scalar is read by the type that the schema gives it: `zip: 01234` and
    `country: NO` are texts where texts are wanted. Tags that make objects, aliases (a short text
    could stand for a huge one), keys that come twice and texts beyond a million characters are
    refused. Dates are kept as text, as JSON has them.
    """

    schema: str | Any | None = None  # kept as JSON text
    of: Of = "text"

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", schema_text(self.schema))

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        return await flags_in_children(candidates, self.of, YAML_S, is_yaml, self.schema)


def is_yaml(text: str, schema: str | None) -> bool:
    """Whether a text is careful YAML that the schema accepts; it is called in a child process."""
    import yaml

    if len(text) > MAX_CHARACTERS:
        return False
    try:
        loader = _careful_loader()(text)
        node = loader.get_single_node()
        if node is None:
            return False
        rules = {} if schema is None else json.loads(schema)
        value: Any = _by_schema(loader, node, rules)
        if schema is None:
            return isinstance(value, dict | list)
        return schema_validator(schema).is_valid(value)
    # No YAML; nested too deeply; numbers that overflow; keys that a schema cannot compare.
    except (yaml.YAMLError, ValueError, RecursionError, ArithmeticError, TypeError):
        return False


def _by_schema(loader: SafeLoader, node: yaml.Node, rules: object) -> object:
    """The value of a node; a plain scalar is a text where the schema wants one."""
    import yaml

    known = rules if isinstance(rules, dict) else {}
    is_known_kind = node.tag in _COLLECTIONS or isinstance(node, yaml.ScalarNode)
    if not is_known_kind:  # a tag that makes an object; those of scalars are refused below
        raise yaml.YAMLError(f"the tag {node.tag}")
    if isinstance(node, yaml.MappingNode):
        loader.construct_mapping(node)  # refuses keys that come twice
        named, others = known.get("properties", {}), known.get("additionalProperties", {})
        pairs = [(loader.construct_object(key), key, child) for key, child in node.value]
        of_key = named if isinstance(named, dict) else {}
        return {
            _key(name, key, of_key): _by_schema(
                loader, child, of_key.get(_key(name, key, of_key), others)
            )
            for name, key, child in pairs
        }
    if isinstance(node, yaml.SequenceNode):
        return [_by_schema(loader, child, known.get("items", {})) for child in node.value]
    value: object = loader.construct_object(node)
    style = node.style if isinstance(node, yaml.ScalarNode) else None
    is_plain = style is None and value is not None and not isinstance(value, str)
    wants_text = known.get("type") == "string" or _only_texts(known.get("enum"))
    return str(node.value) if is_plain and wants_text else value


def _key(value: object, node: yaml.Node, properties: Mapping[str, object]) -> object:
    """A key by its text where the schema names that: `on:` is no truth value then."""
    return node.value if node.value in properties else value


def _only_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


@cache
def _careful_loader() -> type[SafeLoader]:
    import yaml

    class CarefulLoader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("an alias")
            return super().compose_node(parent, index)

        def construct_mapping(
            self, node: yaml.MappingNode, deep: bool = False
        ) -> dict[Hashable, object]:
            keys = [key.value for key, _ in node.value]
            if any(isinstance(key, list) for key in keys) or len(set(keys)) < len(keys):
                raise yaml.YAMLError("a key that comes twice, or is no plain value")
            return super().construct_mapping(node, deep)

    CarefulLoader.yaml_implicit_resolvers = {
        first: [(tag, regex) for tag, regex in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return CarefulLoader
