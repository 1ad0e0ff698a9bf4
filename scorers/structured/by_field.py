"""A vote on each field of an answer by itself: more often right as a whole than any one sample.

Of nine records whose six fields are each right by .8, one record is right by .26, the vote on whole
records by .71, the vote by field by .89. What it composes may be a record that nobody said, so the
strategy checks it again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nbest.orchestrator.types import Candidates, Composed, Query
from nbest.scorers.equivalence.plain import canonical_json
from nbest.scorers.structured.layered import plain_answers
from nbest.scorers.structured.reading import Language
from nbest.scorers.structured.strict import Json, compact_json, parsed_json


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteByField:
    """Composes an answer of the most frequent value of each field.

    Objects are voted on key by key, whatever their depth; lists and all other values as a whole. A
    key is there if it is in most of the answers. Ties go to the value whose text comes first in the
    alphabet, so the order of the answers does not matter. None where most of the answers are no
    objects.
    """

    language: Language = "json"

    async def __call__(self, query: Query, candidates: Candidates) -> Composed | None:
        answers = await plain_answers(candidates, self.language)
        values = [_value(answer) for answer in answers if answer is not None]
        if not values or _most(values) is not dict:
            return None
        fields: dict[str, float] = {}
        try:
            composed = _composed(values, "", fields, len(values))
        except RecursionError:  # nested deeply, and still JSON
            return None
        return Composed(answer=compact_json(composed), fields=fields)


def _value(answer: str) -> Json:
    try:
        value: Json = parsed_json(answer)
    except (ValueError, RecursionError):
        return answer
    return value


def _composed(values: Sequence[Json], path: str, fields: dict[str, float], count: int) -> Json:
    """The value that most of these say; `fields` gets the share of `count` that agree."""
    if _most(values) is not dict:
        counts = Counter(map(_canonical, values))
        best = min(counts, key=lambda text: (-counts[text], text))
        fields[path] = counts[best] / count
        return next(value for value in values if _canonical(value) == best)
    texts = Counter(json.dumps(value) for value in values)
    objects = sorted(
        (value for value in values if isinstance(value, dict)),
        key=lambda one: (-texts[json.dumps(one)], json.dumps(one)),
    )
    held = Counter(key for one in objects for key in one)
    keys = list(dict.fromkeys(key for one in objects for key in one))
    return {
        key: _composed(
            [one[key] for one in objects if key in one],
            f"{path}.{key}" if path else key,
            fields,
            count,
        )
        for key in keys
        if held[key] > len(objects) / 2
    }


def _most(values: Sequence[Json]) -> type:
    """The kind of value that most are; of equally frequent ones, that whose name comes first."""
    counts = Counter(type(value) for value in values)
    return min(counts, key=lambda kind: (-counts[kind], kind.__name__))


def _canonical(value: Json) -> str:
    """One spelling of a value, in which 1 is 1.0."""
    return canonical_json(compact_json(value)) or json.dumps(value, sort_keys=True)
