"""Says what is wrong with a config, a line each: where, the key, the rule, the value.

It knows pydantic's error types and no section of the config.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nbest.experiments.language.text import shown, suggestion
from nbest.experiments.language.yaml_text import KeyPath

# Messages of `types.require` and of `plugin_kind` begin with the key that they are about.
ABOUT_A_KEY = re.compile(r"(\w+(?:\.\w+)*)(?: must |: no such key)")

MAX_TOLD = 20  # errors of a config

RULES: Mapping[str, str] = {
    "missing": "be given",
    "int_type": "be a whole number",
    "int_from_float": "be a whole number",
    "float_type": "be a number",
    "finite_number": "be a finite number",
    "string_type": "be text",
    "string_too_short": "not be empty",
    "string_unicode": "be valid Unicode",
    "string_pattern_mismatch": "match {pattern}",
    "bool_type": "be true or false",
    "tuple_type": "be a list",
    "texts_type": "be a text or a list of texts",
    "too_short": "hold at least {min_length}",
    "dict_type": "be a mapping of keys to values",
    "model_type": "be a mapping of keys to values",
    "model_attributes_type": "be a mapping of keys to values",
    "greater_than_equal": "be at least {ge}",
    "greater_than": "be above {gt}",
    "less_than_equal": "be at most {le}",
    "less_than": "be below {lt}",
    "literal_error": "be {expected}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Where the values of a config come from."""

    source: str  # of the file, as the user named it
    lines: Mapping[KeyPath, int] = field(default_factory=dict)  # in the file
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)  # `--set a.b=c`, by its path

    def where(self, path: KeyPath) -> str:
        """The place of a key, or of the nearest section around it."""
        for end in range(len(path), -1, -1):
            if (text := self.overrides.get(path[:end])) is not None:
                return text
            if end and (line := self.lines.get(path[:end])) is not None:
                return f"{self.source}:{line}"
        # A section that only assignments made: the last of them.
        texts = [text for set_path, text in self.overrides.items() if set_path[:1] == path[:1]]
        return texts[-1] if texts else self.source


def explain(error: ValidationError, raw: object, origins: Origins) -> str:
    """A line about each error, in the order of the config's keys."""
    told = [describe(detail, raw) for detail in error.errors(include_url=False)]
    paths = [path for path, _ in told]
    lines = [
        f"{origins.where(path)}: {text}".replace("\n", " ")
        for path, text in told
        # What is wrong in a list makes the list wrong, too: one mistake.
        if not any(other[: len(path)] == path for other in paths if other != path)
    ]
    more = [f"and {len(lines) - MAX_TOLD} more"] if len(lines) > MAX_TOLD else []
    return "\n".join([*dict.fromkeys(lines[:MAX_TOLD]), *more])


def describe(detail: ErrorDetails, raw: object) -> tuple[KeyPath, str]:
    """The path of the key at fault, and `KEY must RULE, got VALUE` or `KEY: WHAT`."""
    kind, context = detail["type"], detail.get("ctx", {})
    path = key_path(detail["loc"], raw, is_absent=kind == "missing")
    if kind == "unknown_key":
        path = (*path, context["key"])
        return path, f"{dotted(path)}: {context['text']}"
    if kind.startswith("union_tag"):
        return _wrong_kind((*path, "kind"), context)
    if kind == "value_error":
        return _refused_value(path, str(context["error"]), isinstance(detail["input"], Mapping))
    rule = RULES.get(kind, "").format(**context)
    if not rule:
        return path, f"{dotted(path)}: {detail['msg']}, got {shown(detail['input'])}"
    got = "nothing" if kind == "missing" else shown(detail["input"])
    return path, f"{dotted(path)} must {rule}, got {got}"


def _wrong_kind(path: KeyPath, context: Mapping[str, str]) -> tuple[KeyPath, str]:
    kinds = context.get("expected_tags", "").replace("'", "").split(", ")
    if "tag" not in context:
        return path, f"{dotted(path)} must be given, got nothing"
    tag = str(context["tag"])
    return path, f"{dotted(path)}: no kind {shown(tag)}{suggestion(tag, kinds)}"


def _refused_value(path: KeyPath, message: str, is_section: bool) -> tuple[KeyPath, str]:
    """Describe a validator's InputError about the value at `path` or about a key in it."""
    key = ABOUT_A_KEY.match(message)
    if key is None or not is_section:
        return path, f"{dotted(path)}: {message}" if path else message
    prefix = f"{dotted(path)}." if path else ""
    return (*path, *key[1].split(".")), f"{prefix}{message}"


def key_path(loc: KeyPath, raw: object, *, is_absent: bool) -> KeyPath:
    """Drop from pydantic's location the steps that are no keys in `raw`, such as a dataset's kind.

    The last step need not be in `raw` where the error is that it `is_absent`.
    """
    path: list[str | int] = []
    for i, step in enumerate(loc):
        try:
            raw = raw[step]  # type: ignore[index] # TypeError says that it is a leaf
        except (KeyError, IndexError, TypeError):
            if i + 1 < len(loc) or not is_absent:
                continue
        path.append(step)
    return tuple(path)


def dotted(path: KeyPath) -> str:
    """Write a path as in a config: `("select", 0)` as `select[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[\w-]+", step) else shown(step)
            text += f".{name}" if text else name
    return text
