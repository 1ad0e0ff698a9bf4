"""JSON in the middle of other text: the one value that stands there, or none.

Prose may hold brackets: `[1]`, `{name}`, a link. What looks like data, and is not, is never passed
over: it may be the answer, broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbest.scorers.structured.strict import Json, parsed_json_at

MAX_PLACES = 300  # brackets that are looked at: nobody means one of more
_OPENING = re.compile(r"[{\[]")
_CLOSING = re.compile(r"[}\]]")
# Brackets of prose: neither quotes nor colons within, and no other brackets.
_PROSE = re.compile(r"\[[^\[\]{}\"':,\u201c\u201d]*\]|\{[^\[\]{}\"':,\u201c\u201d]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A value in a text."""

    value: Json
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a text holds."""

    places: tuple[Place, ...]  # the largest values, of every kind
    broken: int | None  # where something begins that looks like a value and is none


def found_in(text: str) -> Found:
    """Find the largest JSON objects and arrays of a text, up to the first one that is broken."""
    places: list[Place] = []
    at = tries = 0
    while tries < MAX_PLACES and (opening := _OPENING.search(text, at)) is not None:
        start = opening.start()
        tries += 1
        if stray := _CLOSING.search(text, at, start):
            return Found(places=tuple(places), broken=stray.start())
        try:
            value, end = parsed_json_at(text, start)
        except (ValueError, RecursionError):
            prose = _PROSE.match(text, start)
            if prose is None:
                return Found(places=tuple(places), broken=start)
            at = prose.end()
            continue
        places.append(Place(value=value, start=start, end=end))
        at = end
    stray = _CLOSING.search(text, at) or _OPENING.search(text, at)
    return Found(places=tuple(places), broken=stray.start() if stray else None)
