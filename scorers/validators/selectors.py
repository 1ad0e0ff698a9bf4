"""Selectors by a rule: the first candidate that keeps it, or the best of all that do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nbest.orchestrator.protocols import Scorer, Validator
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.answers.regex import compiled_regex
from nbest.scorers.structured.json_schema import schema_validator
from nbest.scorers.validators.rules import JsonValid, Matches, without


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstValid:
    r"""Scores 1.0 what is valid and nan what is not: the lowest valid index wins, or none does.

    The rule is any `Validator`; `regex`, for all of the answer, and `json_schema`, for the text of
    the sample, are short for `Matches` and `JsonValid`.

    Example: `FirstValid(regex=r"\d{4}-\d{2}-\d{2}")`
    """

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True

    regex: str | None = None
    json_schema: str | None = None
    rule: Validator | None = None

    def __post_init__(self) -> None:
        keys = ("regex", "json_schema", "rule")
        keys_set = [key for key in keys if getattr(self, key) is not None]
        rule = f"set exactly one of {', '.join(keys)}"
        require(len(keys_set) == 1, "first_valid", rule, keys_set)
        if self.regex is not None:
            compiled_regex("regex", self.regex)
        if self.json_schema is not None:
            schema_validator(self.json_schema)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.where(await self._validator()(query, candidates), 1.0, np.nan)

    def _validator(self) -> Validator:
        if self.rule is not None:
            return self.rule
        if self.regex is not None:
            return Matches(pattern=self.regex)
        return JsonValid(schema=self.json_schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmongValid:
    """Scores the candidates that keep a rule as `by` does where there are no others.

    Example: `AmongValid(rule=JsonValid(), by=Shortest())`, the shortest valid one; with
    `by=MajorityVote()` only valid candidates vote.
    """

    rule: Validator
    by: Scorer

    @property
    def needs_logprobs(self) -> int | None:
        return self.by.needs_logprobs

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        is_valid = await self.rule(query, candidates)
        scores = await self.by(query, without(candidates, ~is_valid))
        return np.where(is_valid, scores, np.nan)
