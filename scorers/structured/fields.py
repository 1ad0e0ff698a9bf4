"""Fields of a value against those of a right one: precision and recall."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from nbest.scorers.equivalence.plain import canonical_json
from nbest.scorers.structured.strict import Json, compact_json, parsed_json


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCounts:
    """How many fields were said, were due, and were said rightly; they add up over records.

    A field is a path and the value at it, as `address.city = "Oslo"`; each item of a list is one,
    whatever its place, and all of it: a record in a list is right or not. 1 is 1.0.
    """

    said: int = 0
    due: int = 0
    right: int = 0

    def __add__(self, other: FieldCounts) -> FieldCounts:
        return FieldCounts(
            said=self.said + other.said, due=self.due + other.due, right=self.right + other.right
        )

    @property
    def precision(self) -> float:
        """The share of what was said that is right; nan of nothing."""
        return self.right / self.said if self.said else math.nan

    @property
    def recall(self) -> float:
        """The share of what was due that was said; nan of nothing."""
        return self.right / self.due if self.due else math.nan

    def as_document(self) -> dict[str, object]:
        """The counts and both shares for `--json`."""
        return {
            "said": self.said,
            "due": self.due,
            "right": self.right,
            "precision": self.precision if self.said else None,
            "recall": self.recall if self.due else None,
        }


def field_counts(said: str, due: str) -> FieldCounts:
    """Compare two JSON texts field by field; what is no JSON has no fields."""
    one, other = Counter(fields_of(said)), Counter(fields_of(due))
    return FieldCounts(said=one.total(), due=other.total(), right=(one & other).total())


def fields_of(text: str) -> list[tuple[tuple[str, ...], str]]:
    """The fields of a JSON text: path and value, in one spelling."""
    try:
        return list(_fields((), parsed_json(text)))
    except (ValueError, RecursionError):
        return []


def _fields(path: tuple[str, ...], value: Json) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _fields((*path, key), child)
    elif isinstance(value, list) and value:
        for child in value:
            yield (*path, _ITEM), _spelled(child)
    else:
        yield path, _spelled(value)


def _spelled(value: Json) -> str:
    text = compact_json(value)
    return canonical_json(text) or text


_ITEM = "\0item"  # no key of a record is this one
