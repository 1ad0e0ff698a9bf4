"""Rules that a candidate keeps or breaks, alone and together.

The text of a model is hostile here: whatever it holds, it is valid or it is not, and nothing is
raised. A rule may be, too, for it may stand in a run folder that somebody sent: it is checked in a
child process, and a text at which that takes too long is not valid. Every distinct text is checked
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.protocols import Explains, Validator
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.answers.regex import compiled_regex
from nbest.scorers.sandboxes.processes import are_short, read_soon, read_texts
from nbest.scorers.sandboxes.threads import threads_for
from nbest.scorers.structured.json_schema import is_json, satisfies, schema_text
from nbest.scorers.structured.reasons import line_of, reasons_of_json

CHECK_S = 2.0  # for one text
SOON_S = 0.01  # for one text, where no child process is used

Flags = NDArray[np.bool_]
"""[N] one truth value a candidate."""

Of = Literal["text", "answer"]
"""What is checked: all of the sample's text, or the answer that was read in it."""


def checked_texts(candidates: Candidates, of: Of) -> list[str | None]:
    """[N] the text of each candidate that a rule checks; None where there is no answer."""
    pairs = zip(candidates.samples, candidates.answers, strict=True)
    return [None if a is None else a if of == "answer" else s.text for s, a in pairs]


def flags_of(texts: Sequence[str | None], verdicts: Mapping[str, bool | None]) -> Flags:
    """[N] the verdict on each text; False where there is no text, or no verdict on it."""
    return np.array([t is not None and bool(verdicts[t]) for t in texts], np.bool_)


async def reasons_in_child(
    timeout_s: float, reasons: Callable[..., tuple[str, ...]], text: str, *settings: object
) -> tuple[str, ...]:
    """Why a text is not valid, found in a child process; or that it takes too long to say."""
    found = (await read_texts(timeout_s, reasons, [text], *settings))[text]
    return (line_of("", "takes too long to check"),) if found is None else tuple(found)


async def flags_in_children(
    candidates: Candidates,
    of: Of,
    timeout_s: float,
    is_valid: Callable[..., bool],
    *settings: object,
) -> Flags:
    """[N] whether `is_valid(text, *settings)`, called in child processes; not where it takes long.

    Never where there is no answer.
    """
    texts = checked_texts(candidates, of)
    present = (text for text in texts if text is not None)
    return flags_of(texts, await read_texts(timeout_s, is_valid, present, *settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    r"""All of the answer matches a regular expression. Example: `Matches(pattern=r"\d{4}")`

    A text at which the pattern backtracks for more than two seconds is not valid.
    """

    pattern: str
    of: Of = "answer"

    def __post_init__(self) -> None:
        compiled_regex("pattern", self.pattern)

    async def why(self, query: Query, text: str) -> tuple[str, ...]:
        """Say that a text does not match; () where it does."""
        is_valid = (await read_texts(CHECK_S, matches, [text], self.pattern))[text]
        return () if is_valid else (line_of("", f"must match {self.pattern}", text),)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        texts = checked_texts(candidates, self.of)
        present = {text for text in texts if text is not None}
        if are_short(present):
            with suppress(TimeoutError):  # the pattern backtracks: a child has more time
                return flags_of(texts, matches_soon(present, self.pattern))
        return await flags_in_children(candidates, self.of, CHECK_S, matches, self.pattern)


def matches_soon(texts: Iterable[str], pattern: str) -> dict[str, bool]:
    """By text, whether it matches; TimeoutError where one of them takes long."""
    compiled = compiled_regex("pattern", pattern)
    return {text: compiled.fullmatch(text, timeout=SOON_S) is not None for text in texts}


def matches(text: str, pattern: str) -> bool:
    """Whether all of the text matches; it is called in a child process."""
    return compiled_regex("pattern", pattern).fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValid:
    """The text is JSON, and satisfies a JSON schema where one is given.

    The schema is JSON text; from Python a mapping or a Pydantic class does as well. Draft 2020-12,
    or the draft that its "$schema" names. NaN, infinities and numbers beyond a float's range are
    not valid JSON, and neither is a key that comes twice. With `of="answer"` and `CodeBlock` as
    extractor, JSON may stand in a fenced block.
    """

    schema: str | Any | None = None  # kept as JSON text
    of: Of = "text"

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", schema_text(self.schema))

    async def why(self, query: Query, text: str) -> tuple[str, ...]:
        """Say why a text is not valid, in five lines at most; () where it is."""
        return await reasons_in_child(CHECK_S, reasons_of_json, text, self.schema)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        if self.schema is not None:  # a pattern in it may take for ever
            return await flags_in_children(candidates, self.of, CHECK_S, satisfies, self.schema)
        texts = checked_texts(candidates, self.of)
        present = [text for text in texts if text is not None]
        return flags_of(texts, await read_soon(is_json, present))


@dataclass(frozen=True, slots=True)
class Satisfies:
    """A function of the user's own says whether the answer is valid.

    It can only be used from Python, and has to pickle where the run has other processes. It is
    called in threads, one text after the other.

    Example: `Satisfies(str.isdigit)`
    """

    check: Callable[[str], bool]
    of: Of = "answer"

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        texts = checked_texts(candidates, self.of)
        present = {text for text in texts if text is not None}
        return flags_of(texts, await threads_for("users").call(self._verdicts, present))

    def _verdicts(self, texts: Iterable[str]) -> dict[str, bool]:
        return {text: self._is_valid(text) for text in texts}

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

    async def why(self, query: Query, text: str) -> tuple[str, ...]:
        """Say what the first rule that is broken says of a text."""
        sample = Sample(id="text", text=text)
        candidates = Candidates(samples=(sample,), answers=(text,))
        for rule in self.rules:
            if not (await rule(query, candidates))[0]:
                return await rule.why(query, text) if isinstance(rule, Explains) else ()
        return ()

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        flags = np.array([answer is not None for answer in candidates.answers], np.bool_)
        for rule in self.rules:
            flags &= await rule(query, without(candidates, ~flags))
        return flags


def without(candidates: Candidates, dropped: Sequence[bool] | Flags) -> Candidates:
    """The same candidates, where the dropped ones have no answer any more."""
    pairs = zip(candidates.answers, dropped, strict=True)
    answers = tuple(None if drop else answer for answer, drop in pairs)
    return replace(candidates, answers=answers)
