r"""Answers that are the same mathematics: \frac{1}{2} and 0.5, \sqrt{8} and 2\sqrt{2}."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.types import Query, require
from scorers.equivalence import exact_number, groups_of
from scorers.math_process import MathProcess

MAX_CHARACTERS = 400  # a longer answer means nothing but itself
MAX_DEPTH = 40  # of brackets
MAX_REMEMBERED = 100_000

_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z*]+\}")
_LAYOUT = re.compile(r"\\(?:left|right|displaystyle|[,;:!])(?![A-Za-z])|\$|\\[()\[\]]|~")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_PI = re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])|π")
_WORD = re.compile(r"[^\W\d_]{3,}")


class Remembered(dict[str, str]):
    """The keys of answers that have been read. It is no part of the settings, and stays here."""

    def __reduce__(self) -> tuple[type[Remembered], tuple[()]]:
        return Remembered, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MathEquivalence:
    """The same value, or the same set, tuple, interval, matrix, equation or inequality.

    Numbers are compared exactly and at once. All else is read once by math-verify, in a process of
    its own that is killed when one answer takes longer than `timeout_s`; such an answer, and one
    that cannot be read, means nothing but itself. Words are compared as words, case ignored.

    It is safe in threads and in Ray workers. The first formula costs the start of that process, a
    second or two.
    """

    timeout_s: float = 2.0
    _process: MathProcess = field(
        init=False, repr=False, compare=False, default_factory=MathProcess
    )
    _seen: Remembered = field(init=False, repr=False, compare=False, default_factory=Remembered)

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s", "be above 0", self.timeout_s)

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        hard = self._unread(answers)
        if hard:
            found = await self._process.keys([tidied(answer) for answer in hard], self.timeout_s)
            self._remember(hard, found)
        return groups_of(answers, self._key_at_once)

    def are_same(self, one: str, two: str) -> bool:
        """Whether two answers mean the same; it blocks, for those who have no event loop."""
        if hard := self._unread([one, two]):
            found = self._process.keys_now([tidied(answer) for answer in hard], self.timeout_s)
            self._remember(hard, found)
        first, second = groups_of([one, two], self._key_at_once)
        return first == second

    def _unread(self, answers: Sequence[str]) -> list[str]:
        return sorted({a for a in answers if self._key_at_once(a) is None and is_formula(a)})

    def _key_at_once(self, answer: str) -> str | None:
        """The key if it takes no process: a number, words, or what has been read before."""
        if answer in self._seen:
            return self._seen[answer]
        number = exact_number(tidied(answer))
        if number is not None:
            return f"number:{number}"
        words = words_of(answer)
        return None if words is None else f"words:{words}"

    def _remember(self, answers: Sequence[str], keys: Sequence[str | None]) -> None:
        """But no failures: an answer that ran out of time may be readable another day."""
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.clear()
        pairs = zip(answers, keys, strict=True)
        self._seen.update((answer, key) for answer, key in pairs if key is not None)


def tidied(answer: str) -> str:
    """Without LaTeX that changes the looks alone, and without a full stop."""
    plain = _LAYOUT.sub(" ", answer).replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    return " ".join(_PI.sub(r"\\pi ", plain).split()).rstrip(".")


def words_of(answer: str) -> str | None:
    """What the answer says in words, on one line; None where it has no word of three letters."""
    plain = tidied(answer)
    outside = _TEXT.sub(" ", _ENVIRONMENT.sub("", plain))
    is_all_text = outside != plain and not outside.strip()
    if is_all_text or _WORD.search(_COMMAND.sub(" ", outside)):
        return " ".join(_TEXT.sub(r" \1 ", plain).casefold().split())
    return None


def is_formula(answer: str) -> bool:
    """Whether it is worth reading: neither too long nor too deeply nested."""
    depth = deepest = 0
    for character in answer:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return len(answer) <= MAX_CHARACTERS and deepest <= MAX_DEPTH
