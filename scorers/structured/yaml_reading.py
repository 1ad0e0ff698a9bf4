r"""The reader of YAML: the layers of the JSON reader, with the repairs that YAML needs.

Repaired is what has one reading alone: lines indented by tabs, list items that begin with `*`, and
`name: Node: Orders`, of which the schema has to say that a text is due.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

from nbest.scorers.answers.code_block import blocks_of
from nbest.scorers.structured.json_schema import has_schema, schema_text
from nbest.scorers.structured.reading import Layer, Reading, said_in, words_of
from nbest.scorers.structured.strict import Json
from nbest.scorers.structured.wanted import Wanted, types_of
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
    It takes long, and a pattern of the schema may take for ever: call it in a child process.
    """
    rules = schema_text(schema)
    if truncated:
        return None
    if rules is None:
        return typed_yaml(text, None)
    return _read(text, rules, lambda value: has_schema(value, rules))


def typed_yaml(text: str, schema: str | None) -> Reading | None:
    """Read as `read_yaml` does, but only by the types that the schema, JSON text, gives scalars.

    Whether the value satisfies the schema is left to a validator.
    """
    types = Wanted.by(schema).types()

    def fits(value: Json) -> bool:
        return (
            isinstance(value, dict | list) if not types else not types.isdisjoint(types_of(value))
        )

    return _read(text, schema, fits)


def _read(text: str, schema: str | None, fits: Callable[[Json], bool]) -> Reading | None:
    said, changes = said_in(text)
    if said is None:
        return None
    if (value := _value(said if changes else text, schema, fits)) is not None:
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
    if (value := _value(said, schema, fits)) is not None:
        return Reading(value=value, layer="extracted", changes=tuple(changes))
    if len(said) > MAX_REPAIRED_CHARACTERS:
        return None
    mended, done, quoted = _mended(said, quotes=schema is not None)
    value = _value(mended, schema, fits) if done else None
    # A line of a longer text may look like one that wants to be mended.
    if value is None or not all(text in said for text in _texts(value)):
        return None
    if not _are_wanted(quoted, value, Wanted.by(schema)):
        return None
    return Reading(value=value, layer="repaired", changes=(*changes, *words_of(done)))


def _value(text: str, schema: str | None, fits: Callable[[Json], bool]) -> Json:
    """The value of a text that is YAML, fits, and begins with no sentence; else None."""
    try:
        value = parsed_yaml(text, schema)
    except ValueError:
        return None
    return value if fits(value) and not _has_sentence(value, Wanted.by(schema)) else None


def _has_sentence(value: Json, wanted: Wanted) -> bool:
    """Whether a key is a sentence before the document: `Here it is:` on a line of its own."""
    if not isinstance(value, dict):
        return False
    return any(
        child is None and " " in key and not wanted.names(key) for key, child in value.items()
    )


def _are_wanted(quoted: set[str], value: Json, wanted: Wanted) -> bool:
    """Whether each text that was put into quotation marks stands where a text is due."""
    if isinstance(value, str):
        return value not in quoted or "string" in wanted.types()
    if isinstance(value, list):
        return all(
            _are_wanted(quoted, child, wanted.of_item(place)) for place, child in enumerate(value)
        )
    if isinstance(value, dict):
        return all(_are_wanted(quoted, child, wanted.of_key(key)) for key, child in value.items())
    return True


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


def _mended(text: str, quotes: bool) -> tuple[str, Counter[str], set[str]]:
    """The text with tabs, bullets and colons as YAML wants them; what was done, and quoted."""
    done: Counter[str] = Counter()
    quoted: set[str] = set()
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
            quoted.add(colon["rest"].rstrip())
            line = colon["before"] + json.dumps(colon["rest"].rstrip(), ensure_ascii=False)
            done["quoted a text"] += 1
        lines.append(line)
    return "\n".join(lines), done, quoted
