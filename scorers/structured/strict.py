"""JSON as RFC 8259 has it, and no more than that."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A value that JSON can say."""


def parsed_json(text: str) -> Any:
    """The value of a text that is JSON; ValueError or RecursionError where it is none.

    NaN, infinities, numbers beyond a float's range, keys that come twice and halves of surrogate
    pairs are no JSON here. Integers are exact.
    """
    value = _DECODER.decode(text)
    _require_unicode(text, value)
    return value


def parsed_json_at(text: str, start: int) -> tuple[Json, int]:
    """The JSON value that begins at `start`, and where it ends; raises as `parsed_json` does."""
    value, end = _DECODER.raw_decode(text, start)
    _require_unicode(text[start:end], value)
    return value, end


def _require_unicode(text: str, value: Json) -> None:
    """Raise ValueError where a text in the value holds half of a surrogate pair."""
    if _HALF.search(text):  # it may be one of two
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("a text holds half of a character") from None


_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys; ValueError where one comes twice: nobody knows which is meant."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} comes twice")
        found[key] = value
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


_DECODER = json.JSONDecoder(
    parse_float=_finite,
    parse_int=_whole,
    parse_constant=_finite,
    object_pairs_hook=without_twins,
)
