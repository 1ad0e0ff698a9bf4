r"""The reader of YAML: the layers of the JSON reader, with the repairs that YAML needs.

Repaired is what has one reading alone: lines indented by tabs, list items that begin with `*`, and
`name: Node: Orders`, of which the schema has to say that a text is due.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from nbest.scorers.answers.code_block import blocks_of
from nbest.scorers.structured.json_schema import has_schema, schema_text
from nbest.scorers.structured.reading import Layer, Reading, said_in, words_of
from nbest.scorers.structured.strict import Json
from nbest.scorers.structured.yaml_text import parsed_yaml

_KEY_LINE = re.compile(r"^[ \t]*[\w-]+:[ \t]+\S", re.M)
_TABS = re.compile(r"\t+")
_BULLET = re.compile(r"(?P<indent> *)\*(?= )")
# `key: a: b`, whose value begins like a plain text.
_COLON = re.compile(
    r"(?P<before> *(?:- +)*[A-Za-z_][\w -]*: +)"
    r"(?P<rest>[^\s\"'\[\]{}>|*&!%#`@,?-][^#]*?:(?: [^#]*)?)"
)
MAX_LINE_CHARACTERS = 500
MAX_REPAIRED_CHARACTERS = 50_000  # beyond it, it takes a second and more to be sure


def read_yaml(text: str, *, schema: object = None, truncated: bool = False) -> Reading | None:
    """Read the YAML document in a text; None where there is none that is certain.

    What is not repaired is a mapping or a list, or, with a `schema`, whatever satisfies it; scalars
    have the types that the schema gives them. What was `truncated` is never read. No text raises.
    It takes long: call it in a child process.
    """
    rules = schema_text(schema)
    if truncated:
        return None
    said, changes = said_in(text)
    if said is None:
        return None
    value = _value(said if changes else text, rules)
    if value is not None:
        layer: Layer = "extracted" if changes else "plain"
        return Reading(value=value, layer=layer, changes=tuple(changes))
    blocks = blocks_of(said)
    if len(blocks) > 1:
        return None
    if blocks:
        if _KEY_LINE.search(said.replace(blocks[0].code, "", 1)):
            return None  # keys stand beside the block, too
        changes.append("removed a fence")
        said = blocks[0].code
    if (value := _value(said, rules)) is not None:
        return Reading(value=value, layer="extracted", changes=tuple(changes))
    if len(said) > MAX_REPAIRED_CHARACTERS:
        return None
    mended, done = _mended(said, quotes=rules is not None)
    value = _value(mended, rules) if done else None
    # A line of a longer text may look like one that wants to be mended.
    if value is None or not all(text in said for text in _texts(value)):
        return None
    return Reading(value=value, layer="repaired", changes=(*changes, *words_of(done)))


def _value(text: str, rules: str | None) -> Json:
    """The value of a text that is YAML and satisfies the schema; else None."""
    try:
        value = parsed_yaml(text, rules)
    except ValueError:
        return None
    is_right = isinstance(value, dict | list) if rules is None else has_schema(value, rules)
    return value if is_right else None


def _texts(value: Json) -> Iterator[str]:
    """Every text of a value, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from _texts(child)


def _mended(text: str, quotes: bool) -> tuple[str, Counter[str]]:
    """The text with tabs, bullets and colons as YAML wants them, and what was done."""
    done: Counter[str] = Counter()
    lines = []
    indents = {line[: len(line) - len(line.lstrip(" \t"))] for line in text.split("\n")}
    are_tabs = all(not indent.strip("\t") for indent in indents)
    for line in text.split("\n"):
        if are_tabs and (tabs := _TABS.match(line)):
            line = "  " * len(tabs[0]) + line[tabs.end() :]
            done["replaced tabs"] += 1
        if bullet := _BULLET.match(line):
            line = f"{bullet['indent']}-{line[bullet.end() :]}"
            done["replaced a bullet"] += 1
        is_short = len(line) <= MAX_LINE_CHARACTERS
        if quotes and is_short and (colon := _COLON.fullmatch(line.rstrip())):
            line = colon["before"] + json.dumps(colon["rest"].rstrip(), ensure_ascii=False)
            done["quoted a text"] += 1
        lines.append(line)
    return "\n".join(lines), done
