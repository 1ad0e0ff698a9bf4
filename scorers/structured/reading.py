r"""The reader of structured output: what a model wrote as JSON, and how much had to be done for it.

Layers, each tried where those before find nothing:

- `plain`: the text is JSON as RFC 8259 has it, without keys that come twice.
- `extracted`: one JSON value stands in other text, and nothing else that could be meant.
- `repaired`: it is broken in a way that can be mended without loss (`repair`), and another reader,
  the library json_repair, reads the same value.

In doubt there is no reading: a value that nobody meant is worse than none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from nbest.orchestrator.reasoning import parted
from nbest.scorers.answers.code_block import blocks_of
from nbest.scorers.structured.extraction import Found, Place, found_in
from nbest.scorers.structured.fragments import is_fragment, is_meant
from nbest.scorers.structured.json_schema import has_schema, schema_text
from nbest.scorers.structured.repair import repaired
from nbest.scorers.structured.strict import Json, compact_json, parsed_json

Kinds: TypeAlias = frozenset[type]
"""What a value may be at its outside: dict, list."""

Language = Literal["json", "yaml"]
Layer = Literal["plain", "extracted", "repaired"]
LAYERS: tuple[Layer, ...] = ("plain", "extracted", "repaired")

BYTE_ORDER_MARK = "\ufeff"
MAX_REPAIRED_CHARACTERS = 200_000  # the second reader takes more than linear time
_PROSE_SIGNS = frozenset('{}[]"\u201c\u201d')


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value that was read in a text."""

    value: Json
    layer: Layer
    changes: tuple[str, ...] = ()  # what was done to the text, in words; () of a plain one

    @property
    def text(self) -> str:
        """The value as compact JSON, its keys in the order of the text."""
        return compact_json(self.value)


def read_json(text: str, *, schema: object = None, truncated: bool = False) -> Reading | None:
    """Read the JSON value in a text; None where there is none that is certain.

    With a `schema`, JSON text, a mapping or a Pydantic class, the value has to satisfy it as it is:
    "12" is no 12. What was `truncated`, at a limit of tokens, is never read: what is missing is not
    known, and a number at the end may have been longer. Valid text is returned as it says. No text
    raises; a schema that is none does (InputError). A pattern of the schema may take for ever: the
    validators call this in child processes.
    """
    rules = schema_text(schema)
    if truncated:
        return None
    reading = read_value(text, kinds_of(rules))
    if reading is None or rules is None:
        return reading
    return reading if has_schema(reading.value, rules) else None


def kinds_of(schema: str | None) -> Kinds:
    """What the value may be at its outside: dict, list or another, by the schema's own type."""
    named: Any = None if schema is None else json.loads(schema).get("type")
    types = {"object": dict, "array": list}
    names = named if isinstance(named, list) else [named]
    if named is None or not all(isinstance(name, str) for name in names):
        return frozenset((dict, list))
    return frozenset(types[name] for name in names if name in types)


def read_value(text: str, kinds: Kinds) -> Reading | None:
    """Read as `read_json` does, a value of one of these kinds, or one that is all of the text."""
    try:
        return Reading(value=parsed_json(text), layer="plain")
    except (ValueError, RecursionError):
        pass
    said, changes = said_in(text)
    if said is None:
        return None
    body, around = _parts(said)
    found = found_in(around)
    if found.broken is not None or not all(map(_is_prose, found.places)):
        return None  # beside the fenced block stands another value, or a part of one
    changes += ["removed a fence"] if body is not said else []
    try:
        return Reading(value=parsed_json(body), layer="extracted", changes=tuple(changes))
    except (ValueError, RecursionError):
        found = found_in(body)
    if found.broken is None:
        return _extracted(body, found, kinds, changes)
    return _repaired(body, found, kinds, changes)


def said_in(text: str) -> tuple[str | None, list[str]]:
    """What is left without a byte order mark and a thought, and what was removed.

    None where a thought was begun and never ended.
    """
    changes = []
    if text.startswith(BYTE_ORDER_MARK):
        text = text.removeprefix(BYTE_ORDER_MARK)
        changes.append("removed a byte order mark")
    parts = parted(text)
    if not parts.is_ended:
        return None, changes
    said = parts.said.strip()
    if said == text.strip() or not text.rstrip().endswith(said):
        return text.strip(), changes  # tags within a text are no thought before it
    return said, [*changes, "removed a thought"]


def _parts(said: str) -> tuple[str, str]:
    """The one fenced block of a text, and what stands around it; without one, all of it."""
    blocks = blocks_of(said)
    if len(blocks) != 1:
        return said, ""
    code = blocks[0].code.strip()
    if not code:
        return said, ""
    before, _, after = said.partition(code)
    return code, f"{before}\n{after}"


def _extracted(body: str, found: Found, kinds: Kinds, changes: Sequence[str]) -> Reading | None:
    """The one value of these kinds in a text, where nothing in it is broken."""
    wanted = [place for place in found.places if type(place.value) in kinds]
    others = (place for place in found.places if place not in wanted)
    if len(wanted) != 1 or not all(map(_is_prose, others)):
        return None
    (place,) = wanted
    if is_fragment(body[: place.start], body[place.end :]):
        return None
    if _is_prose(place) and not is_meant(body[: place.start], body[place.end :]):
        return None
    done = (*changes, "removed other text")
    return Reading(value=wanted[0].value, layer="extracted", changes=done)


def _is_prose(place: Place) -> bool:
    """Whether brackets are some of prose, as `[1]`: a list of nothing but numbers and words."""
    plain = (str, int, float, bool, type(None))
    return isinstance(place.value, list) and all(isinstance(v, plain) for v in place.value)


def _repaired(body: str, found: Found, kinds: Kinds, changes: Sequence[str]) -> Reading | None:
    """The one value that is broken, mended, where two readers agree about it."""
    start = found.broken
    is_alone = all(map(_is_prose, found.places)) and (dict in kinds and list not in kinds)
    if start is None or (found.places and not is_alone) or len(body) > MAX_REPAIRED_CHARACTERS:
        return None
    if {"{": dict, "[": list}.get(body[start]) not in kinds:
        return None
    try:
        mended = repaired(body, start, len(body))
        value = parsed_json(mended.text)
    except (ValueError, RecursionError):
        return None
    around = body[:start] + body[mended.end :]
    is_part = is_fragment(body[:start], body[mended.end :])
    if is_part or not _PROSE_SIGNS.isdisjoint(body[mended.end :]):
        return None
    if not _second_reader_agrees(body[start : mended.end], value):
        return None
    others = ["removed other text"] if around.strip() else []
    return Reading(
        value=value, layer="repaired", changes=(*changes, *others, *words_of(mended.changes))
    )


def _second_reader_agrees(text: str, value: Json) -> bool:
    """Whether json_repair, which is more lenient and written by others, reads the same value."""
    import json_repair

    try:
        second = json_repair.loads(text, skip_json_loads=True)
        return json.dumps(second) == json.dumps(value)
    # It reads what a model wrote, and is made for it; where it fails, nobody agrees.
    except Exception:  # noqa: BLE001
        return False


def words_of(changes: Counter[str]) -> list[str]:
    """Say what was done to a text, and how often."""
    return [
        f"{what} ({count} times)" if count > 1 else what for what, count in changes.items() if count
    ]
