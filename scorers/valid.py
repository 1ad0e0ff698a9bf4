"""Candidates that satisfy a rule: a regular expression or a JSON schema.

The text of a model is hostile here: whatever it holds, it is valid or it is not, and nothing is
raised. The regex and the schema are the user's, and trusted not to take for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from orchestrator.types import Candidates, Query, Scores, require
from scorers.pattern import compiled_regex
from scorers.schema import satisfies, schema_validator


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstValid:
    r"""Scores 1.0 what is valid and nan what is not: the lowest valid index wins, or none does.

    With `regex` all of the answer must match; with `json_schema`, given as JSON text, the text of
    the sample must be JSON that satisfies it (Draft 2020-12, or the draft that its "$schema"
    names). NaN, infinities and numbers beyond a float's range are not valid JSON.

    Example: `FirstValid(regex=r"\d{4}-\d{2}-\d{2}")`
    """

    needs_logprobs: ClassVar[int | None] = None

    regex: str | None = None
    json_schema: str | None = None

    def __post_init__(self) -> None:
        given = [key for key in ("regex", "json_schema") if getattr(self, key) is not None]
        rule = "set exactly one of regex, json_schema"
        require(len(given) == 1, "first_valid", rule, given)
        self._is_valid()

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        is_valid = self._is_valid()
        pairs = zip(candidates.samples, candidates.answers, strict=True)
        texts = [None if a is None else a if self.regex is not None else s.text for s, a in pairs]
        score = {t: 1.0 if t is not None and is_valid(t) else np.nan for t in set(texts)}
        return np.fromiter(map(score.__getitem__, texts), np.float64, count=len(texts))

    def _is_valid(self) -> Callable[[str], bool]:
        if self.regex is not None:
            pattern = compiled_regex("regex", self.regex)
            return lambda text: pattern.fullmatch(text) is not None
        validator = schema_validator(self.json_schema or "")
        return lambda text: satisfies(validator, text)
