r"""Answers that are the same mathematics: \frac{1}{2} and 0.5, \sqrt{8} and 2\sqrt{2}."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Query
from nbest.scorers.equivalence.math_parts import AnswerParts, parts_of, split_at_top
from nbest.scorers.equivalence.math_text import is_formula, number_of, unclear_text, words_of
from nbest.scorers.equivalence.plain import groups_of
from nbest.scorers.sandboxes.math_keys import key_of
from nbest.scorers.sandboxes.processes import Unfinished, reading_processes

MAX_REMEMBERED = 100_000


class KeyCache(dict[str, str | None]):
    """The keys of answers that have been read, None where that failed or took too long.

    It is no setting: a pickled copy of it is empty.
    """

    def __reduce__(self) -> tuple[type[KeyCache], tuple[()]]:
        return KeyCache, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MathEquivalence:
    """The same value, or the same set, tuple, interval, matrix, equation or inequality.

    Numbers are compared exactly and at once. All else is read once by math-verify, in as many
    processes as there are cores; one is killed when an answer takes longer than `timeout_s`. Such
    an answer, and one that cannot be read, means nothing but itself, and is not tried again. Words
    are compared as words, case ignored.

    `x = 5` and "5 cm" are 5, unless the answers have `y = 5` or "5 m" too: then the names and the
    units count.

    It is safe in threads and in Ray workers. The first formula costs the start of a process, a
    second or two.
    """

    timeout_s: float = 2.0
    _seen: KeyCache = field(init=False, repr=False, compare=False, default_factory=KeyCache)

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s", "be above 0", self.timeout_s)

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        parts = as_equations([parts_of(answer) for answer in answers])
        cores = self._unread_cores(parts)
        if cores:
            calls = [(core,) for core in cores]
            keys = await reading_processes().call_each(self.timeout_s, key_of, calls)
            self._remember(cores, keys)
        return self._groups(answers, parts)

    def are_same(self, one: str, two: str) -> bool:
        """Whether two answers mean the same; it blocks, for callers without an event loop."""
        parts = as_equations([parts_of(one), parts_of(two)])
        cores = self._unread_cores(parts)
        calls = [(core,) for core in cores]
        self._remember(cores, reading_processes().call_each_now(self.timeout_s, key_of, calls))
        first, second = self._groups([one, two], parts)
        return first == second

    def _groups(self, answers: Sequence[str], parts: Sequence[AnswerParts]) -> list[int]:
        names: dict[tuple[str, str | None], set[str]] = {}
        keys = [self._key_at_once(answer.core) for answer in parts]
        for key, answer in zip(keys, parts, strict=True):
            for kind, name in answer.names():
                names.setdefault((kind, key), set()).add(name)

        def key_with_names(answer: AnswerParts, key: str | None) -> tuple[str, ...] | None:
            several = [name for kind, name in answer.names() if len(names[kind, key] - {""}) > 1]
            return None if key is None else (key, *several)

        full = dict(zip(answers, map(key_with_names, parts, keys), strict=True))
        return groups_of(answers, full.__getitem__)

    def _unread_cores(self, parts: Sequence[AnswerParts]) -> list[str]:
        """The cores that only a process can read and none has tried to, each once."""
        cores = {answer.core for answer in parts} - self._seen.keys()
        return sorted(c for c in cores if self._key_at_once(c) is None and is_formula(c))

    def _key_at_once(self, core: str) -> str | None:
        """The key if it takes no process: a number, words, or what has been read before."""
        if core in self._seen:
            return self._seen[core]
        number = number_of(core)
        if number is not None:
            return f"number:{number}"
        words = words_of(core)
        return unclear_text(core) if words is None else f"words:{words}"

    def _remember(self, cores: Sequence[str], keys: Sequence[str | Unfinished | None]) -> None:
        """Keep the keys, and the failures: what has run out of time once would do so again."""
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.clear()
        pairs = zip(cores, keys, strict=True)
        self._seen.update((c, None if isinstance(key, Unfinished) else key) for c, key in pairs)


def as_equations(parts: Sequence[AnswerParts]) -> list[AnswerParts]:
    """The answers as they are read beside each other.

    Beside an equation that names no value, as 2x + y = 3, `y = 3 - 2x` is a line like it, and not
    the expression 3 - 2x. Beside values with names, as x = 1, y = 2, a list without names has an
    order: "1, 2" is it, and "2, 1" is not.
    """
    has_equation = any("=" in answer.core for answer in parts)
    has_names = any("=" in answer.variable for answer in parts)
    return [_as_listed(_as_whole(a, has_equation), has_names) for a in parts]


def _as_whole(answer: AnswerParts, has_equation: bool) -> AnswerParts:
    return AnswerParts(answer.whole, unit=answer.unit) if answer.whole and has_equation else answer


def _as_listed(answer: AnswerParts, has_names: bool) -> AnswerParts:
    values = split_at_top(answer.core, ",")
    is_list = not answer.variable and len(values) > 1 and not any(v.startswith("(") for v in values)
    is_plain = number_of(answer.core) is None and words_of(answer.core) is None
    if has_names and is_list and is_plain:
        return AnswerParts(f"({answer.core})", unit=answer.unit)
    return answer
