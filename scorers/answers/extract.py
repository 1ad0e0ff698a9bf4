"""Extractors: each reads the answer out of the text of a sample.

None of them raises, whatever the text, and each takes time in proportion to its length (`Regex`: a
second at most). An answer is never empty and never has spaces around it. Where a whole
answer is a number it gets the one spelling of `nbest.scorers.answers.number` (not in `Regex`, which
rewrites nothing); all else stays as it is, so "-5" and "A" are kept.

This module knows no question, no gold answer and no status: that truncated samples have no answer
is for the caller of an extractor to see to. Choice letters have a file of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nbest.orchestrator.types import require
from nbest.scorers.answers.number import canonical_number, last_number
from nbest.scorers.answers.regex import TimedPattern, compiled_regex, last_match, last_match_in_time

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(r"\banswer(?:\s+is\b|\s*[:=])[:\s*]*+", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\n|\.(?=\s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastNumber:
    """The last number in the text, in the canonical spelling of `canonical_number`."""

    def __call__(self, text: str) -> str | None:
        return last_number(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterMarker:
    """What follows the last marker, up to the end of its line. GSM8K writes `#### 18`."""

    marker: str = "####"

    def __post_init__(self) -> None:
        require(bool(self.marker), "marker", "not be empty", self.marker)

    def __call__(self, text: str) -> str | None:
        _, marker, rest = text.rpartition(self.marker)
        return _tidy(rest.partition("\n")[0]) if marker else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxed:
    r"""What the last `\boxed{...}` holds; None where its braces do not balance."""

    def __call__(self, text: str) -> str | None:
        return last_boxed(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    r"""What the last match of a pattern holds.

    That is `group` where it is given; else the group named "answer", group 1, or the whole match,
    whichever exists first. Where the pattern backtracks for more than a second there is no answer.

    Example: `Regex(pattern=r"Total: (\d+)")`
    """

    pattern: str
    group: int | str | None = None
    _compiled: TimedPattern = field(init=False, repr=False, compare=False)
    _place: int | str = field(init=False, repr=False, compare=False)  # the group, as chosen

    def __post_init__(self) -> None:
        compiled = compiled_regex("pattern", self.pattern)
        groups = [*range(compiled.groups + 1), *compiled.groupindex]
        rule = f"be a group of the pattern, one of {groups}"
        require(self.group is None or self.group in groups, "group", rule, self.group)
        place: int | str | None = self.group
        if place is None:
            place = "answer" if "answer" in compiled.groupindex else min(compiled.groups, 1)
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_place", place)

    def __call__(self, text: str) -> str | None:
        match = last_match_in_time(self._compiled, text)
        return _stripped(match[self._place]) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer:
    r"""The likeliest place of an answer in free text, for questions asked by hand.

    The first that exists of: the last `\boxed{...}`; what follows the last `####`; what follows
    the last "answer is" or "answer:", up to the end of the sentence; the last number; all of the
    text.
    """

    def __call__(self, text: str) -> str | None:
        return (
            last_boxed(text)
            or AfterMarker()(text)
            or _after_phrase(text)
            or last_number(text)
            or _tidy(text)
        )


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` holds. An escaped brace, as in `\{1, 2\}`, closes nothing."""
    _, opening, rest = text.rpartition(r"\boxed{")
    depth = len(opening[:1])
    for brace in _BRACE.finditer(rest) if opening else ():
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return _tidy(rest[: brace.start()])
    return None


def _after_phrase(text: str) -> str | None:
    phrase = last_match(_PHRASE, text)
    if phrase is None:
        return None
    sentence = _SENTENCE_END.split(text[phrase.end() :], maxsplit=1)[0]
    return _tidy(sentence.lstrip("*`\"' ").rstrip("*`\"' ."))


def _tidy(text: str) -> str | None:
    return canonical_number(text) or _stripped(text)


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None
