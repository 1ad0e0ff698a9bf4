"""Extractors: each reads the answer out of the text of a sample.

None of them raises, whatever the text, and each takes time in proportion to its length (`Regex`: a
second at most). An answer is never empty and never has spaces around it. Where a whole
answer is a number it gets the one spelling of `nbest.scorers.answers.number` (not in `Regex`, which
rewrites nothing); all else stays as it is, so "-5" and "A" are kept.

What a model thought before it answered is not read (`without_reasoning`), unless an extractor is
told to by `reads_reasoning`.

This module knows no question, no gold answer and no status: that truncated samples have no answer
is for the caller of an extractor to see to. Choice letters have a file of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nbest.orchestrator.reasoning import without_reasoning
from nbest.orchestrator.requirements import require
from nbest.scorers.answers.characters import plain_characters
from nbest.scorers.answers.latex import last_boxed, unwrapped
from nbest.scorers.answers.number import canonical_number, counted_number, last_number
from nbest.scorers.answers.phrases import said_answer, tagged_answer
from nbest.scorers.answers.regex import TimedPattern, compiled_regex, last_match_in_time

_SPECIAL = re.compile(r"(?:<\|[a-z_]{1,30}\|>|</?s>|<eos>|<end_of_turn>|#+|\s)+\Z")
_MOST_TIDIED = 500  # characters: no longer text is a number, or in a font as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class LastNumber:
    """The last number in the text, in the canonical spelling of `canonical_number`."""

    reads_reasoning: bool = False

    def __call__(self, text: str) -> str | None:
        return last_number(visible(text, self.reads_reasoning))


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterMarker:
    """What follows the last marker, up to the end of its line. GSM8K writes `#### 18`.

    A marker with nothing after it is passed over. Bold type and special tokens around the answer
    go, and so does what is counted after a number: "18 dollars" is 18.
    """

    marker: str = "####"
    reads_reasoning: bool = False

    def __post_init__(self) -> None:
        require(bool(self.marker), "marker", "not be empty", self.marker)

    def __call__(self, text: str) -> str | None:
        parts = visible(text, self.reads_reasoning).split(self.marker)
        for part in reversed(parts[1:]):
            if answer := _after_marker(part):
                return answer
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxed:
    r"""What the last `\boxed{...}` holds that is not empty; None where its braces do not balance.

    `\fbox{5}` and `\boxed 5` are boxes, too.
    """

    reads_reasoning: bool = False

    def __call__(self, text: str) -> str | None:
        return _boxed(visible(text, self.reads_reasoning))


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    r"""What the last match of a pattern holds.

    That is `group` where it is given; else the group named "answer", group 1, or the whole match,
    whichever exists first. Where the pattern backtracks for more than a second there is no answer.

    Example: `Regex(pattern=r"Total: (\d+)")`
    """

    pattern: str
    group: int | str | None = None
    reads_reasoning: bool = False
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
        match = last_match_in_time(self._compiled, visible(text, self.reads_reasoning))
        return _stripped(match[self._place]) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer:
    r"""The likeliest place of an answer in free text, for questions asked by hand.

    The first that exists of: the last `\boxed{...}`; what an `<answer>` tag holds; what follows the
    last `####`, unless that is a Markdown heading (it is an answer where it is a number, or on the
    last line, and no answer is stated after it); what follows the last "answer is" or "answer:", up
    to the end of the sentence, without the reason given for it; the last number; all of the text.
    """

    reads_reasoning: bool = False

    def __call__(self, text: str) -> str | None:
        said = visible(text, self.reads_reasoning)
        return (
            _boxed(said)
            or _tidy(tagged_answer(said) or "")
            or _stated(said)
            or last_number(said)
            or _tidy(said)
        )


def visible(text: str, reads_reasoning: bool = False) -> str:
    """The text that an extractor reads."""
    return text if reads_reasoning else without_reasoning(text)


def _boxed(text: str) -> str | None:
    boxed = last_boxed(text)
    return None if boxed is None else _tidy(boxed)


def _after_marker(part: str) -> str | None:
    line = part.partition("\n")[0]
    return _tidy(unwrapped(_SPECIAL.sub("", line[:_MOST_TIDIED]))) if line.strip() else None


def _stated(text: str) -> str | None:
    """What follows the last `####` or the last phrase that says what the answer is."""
    said = said_answer(plain_characters(text))
    before, marker, after = text.rpartition("####")
    marked = _after_marker(after) if marker else None
    is_last_line = not after.strip().partition("\n")[2].strip()
    is_number = marked is not None and canonical_number(marked) is not None
    # Words after a stated answer are a heading, and so is a number that is one of several.
    is_answer = is_number or (marked is not None and is_last_line and said is None)
    if is_answer and (said is None or said.start < len(plain_characters(before))):
        return marked
    return None if said is None else _tidy(said.answer)


def _tidy(text: str) -> str | None:
    return canonical_number(text) or counted_number(text) or _stripped(text)


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None
