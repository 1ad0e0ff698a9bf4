"""JSON as RFC 8259 has it, and no more than that."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""A value that JSON can say."""


def parsed_json(text: str) -> Any:
    """The value of a text that is JSON; ValueError or RecursionError where it is none.

    NaN, infinities, numbers beyond a float's range, keys that come twice and halves of surrogate
    pairs are no JSON here. Integers are exact; of other numbers `compact_json` keeps all digits.
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


class LongFloat(float):
    """A number with more digits than a float has; `spelling` holds all of them."""

    spelling: str


def finite_float(text: str) -> float:
    """The number of a text; ValueError where a float has no such number, as 1e400 or 1e-400."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    exact = Decimal(text)
    if number == 0 and exact:
        raise ValueError(f"{text[:40]} is too small a number")
    if Decimal(repr(number)) == exact:
        return number
    long = LongFloat(number)
    long.spelling = text
    return long


def compact_json(value: Json) -> str:
    """A value as compact JSON, its keys in their order and its numbers with all their digits."""
    if not _has_long_float(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k, ensure_ascii=False)}:{compact_json(v)}" for k, v in value.items())
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(compact_json, value))}]"
    assert isinstance(value, LongFloat)
    return value.spelling


def with_long_floats_as_texts(text: str) -> str | None:
    """The same JSON with numbers of more digits than a float has as texts; None without any."""
    value = parsed_json(text)
    return json.dumps(_as_texts(value)) if _has_long_float(value) else None


def _as_texts(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _as_texts(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_as_texts(child) for child in value]
    return value.spelling if isinstance(value, LongFloat) else value


def _has_long_float(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_has_long_float, value.values()))
    return (
        any(map(_has_long_float, value))
        if isinstance(value, list)
        else isinstance(value, LongFloat)
    )


def _whole(text: str) -> int:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:40]} is not a finite number")
    return int(text)


_DECODER = json.JSONDecoder(
    parse_float=finite_float,
    parse_int=_whole,
    parse_constant=finite_float,
    object_pairs_hook=without_twins,
)
