"""Rules that a candidate keeps or breaks, alone and together.

The text of a model is hostile here: whatever it holds, it is valid or it is not, and nothing is
raised. The rules are the user's, and trusted not to take for ever. Every distinct text is checked
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.protocols import Validator
from nbest.orchestrator.types import Candidates, Query, require
from nbest.scorers.answers.regex import compiled_regex
from nbest.scorers.validators.json_schema import is_json, satisfies, schema_validator

Flags = NDArray[np.bool_]
"""[N] one truth value a candidate."""

Of = Literal["text", "answer"]
"""What is checked: all of the sample's text, or the answer that was read in it."""


def valid_flags(candidates: Candidates, of: Of, is_valid: Callable[[str], bool]) -> Flags:
    """[N] whether the text of each candidate is valid; never where there is no answer."""
    pairs = zip(candidates.samples, candidates.answers, strict=True)
    texts = [None if a is None else a if of == "answer" else s.text for s, a in pairs]
    verdict = {text: text is not None and is_valid(text) for text in set(texts)}
    return np.fromiter(map(verdict.__getitem__, texts), np.bool_, count=len(texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    r"""All of the answer matches a regular expression. Example: `Matches(pattern=r"\d{4}")`"""

    pattern: str
    of: Of = "answer"

    def __post_init__(self) -> None:
        compiled_regex("pattern", self.pattern)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        pattern = compiled_regex("pattern", self.pattern)
        return valid_flags(candidates, self.of, lambda text: bool(pattern.fullmatch(text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValid:
    """The text is JSON, and satisfies a JSON schema where one is given, as JSON text.

    Draft 2020-12, or the draft that its "$schema" names. NaN, infinities and numbers beyond a
    float's range are not valid JSON. With `of="answer"` and `CodeBlock` as extractor, JSON may
    stand in a fenced block.
    """

    schema: str | None = None
    of: Of = "text"

    def __post_init__(self) -> None:
        self._is_valid()

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        return valid_flags(candidates, self.of, self._is_valid())

    def _is_valid(self) -> Callable[[str], bool]:
        if self.schema is None:
            return is_json
        validator = schema_validator(self.schema)
        return lambda text: satisfies(validator, text)


@dataclass(frozen=True, slots=True)
class Satisfies:
    """A function of the user's own says whether the answer is valid.

    It can only be used from Python, and has to pickle where the run has other processes.

    Example: `Satisfies(str.isdigit)`
    """

    check: Callable[[str], bool]
    of: Of = "answer"

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        return valid_flags(candidates, self.of, self._is_valid)

    def _is_valid(self, text: str) -> bool:
        try:
            return bool(self.check(text))
        # It is the user's, and it reads what a model wrote: a text that it cannot cope with, an
        # index that is out of range, is not a valid one.
        except Exception:  # noqa: BLE001
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """Every one of the rules is kept. A rule checks only what has kept those before it.

    Example: `AllOf(rules=(Matches(pattern="SELECT .*"), SqlValid(schema=TABLES)))`
    """

    rules: tuple[Validator, ...]

    def __post_init__(self) -> None:
        require(len(self.rules) > 0, "rules", "name at least one validator", self.rules)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        flags = np.array([answer is not None for answer in candidates.answers], np.bool_)
        for rule in self.rules:
            flags &= await rule(query, without(candidates, ~flags))
        return flags


def without(candidates: Candidates, dropped: Sequence[bool] | Flags) -> Candidates:
    """The same candidates, where the dropped ones have no answer any more."""
    pairs = zip(candidates.answers, dropped, strict=True)
    answers = tuple(None if drop else answer for answer, drop in pairs)
    return Candidates(samples=candidates.samples, answers=answers, ask=candidates.ask)
