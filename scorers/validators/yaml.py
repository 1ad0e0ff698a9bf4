"""YAML, without the parts that are unsafe or ambiguous."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.validators.json_schema import schema_validator
from nbest.scorers.validators.rules import Flags, Of, flags_in_children

if TYPE_CHECKING:
    from yaml import SafeLoader

MAX_CHARACTERS = 1_000_000
YAML_S = 20.0  # for one text: PyYAML reads some 50,000 characters a second


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValid:
    """The text is one YAML document, and satisfies a JSON schema where one is given.

    Tags that make objects, aliases (a short text could stand for a huge one), keys that come twice
    and texts beyond a million characters are refused. Dates are kept as text, as JSON has them.
    """

    schema: str | None = None  # as JSON text
    of: Of = "text"

    def __post_init__(self) -> None:
        if self.schema is not None:
            schema_validator(self.schema)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        return await flags_in_children(candidates, self.of, YAML_S, is_yaml, self.schema)


def is_yaml(text: str, schema: str | None) -> bool:
    """Whether a text is careful YAML that the schema accepts; it is called in a child process."""
    import yaml

    if len(text) > MAX_CHARACTERS:
        return False
    try:
        value = yaml.load(text, _careful_loader())
        return schema is None or schema_validator(schema).is_valid(value)
    # No YAML; nested too deeply; numbers that overflow; keys that a schema cannot compare.
    except (yaml.YAMLError, ValueError, RecursionError, ArithmeticError, TypeError):
        return False


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
