"""Answers that mean the same though they are written differently: numbers, letters, JSON.

Each equivalence reads every answer on its own and compares the values, so the order of the answers
cannot matter. What cannot be read means nothing but itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import MAX_PREC, Context, Decimal
from fractions import Fraction

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Query
from nbest.scorers.answers.choice_letter import ChoiceLetter
from nbest.scorers.answers.number import canonical_number
from nbest.scorers.sandboxes.processes import read_soon
from nbest.scorers.structured.strict import without_twins


def groups_of(answers: Sequence[str], read: Callable[[str], Hashable | None]) -> list[int]:
    """[A] numbers: equal ones where `read` gives equal values; each None is alone."""
    numbers: dict[Hashable, int] = {}
    keys = [(True, value) if (value := read(a)) is not None else (False, a) for a in answers]
    return [numbers.setdefault(key, len(numbers)) for key in keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberEquivalence:
    """Equal numbers: "1,000" and "1000.0", "1/2" and "0.5", as `canonical_number` reads them.

    With a tolerance, numbers are the same if a chain of answers leads from one to the other, each
    within the tolerance of the next. Without one, the arithmetic is exact.
    """

    tolerance: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.tolerance < 1e300, "tolerance", "be at least 0", self.tolerance)

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        chains = self._chains({n for n in map(exact_number, answers) if n is not None})

        def chain_of(answer: str) -> int | None:
            number = exact_number(answer)
            return None if number is None else chains[number]

        return groups_of(answers, chain_of)

    def _chains(self, numbers: set[Fraction]) -> dict[Fraction, int]:
        chains: dict[Fraction, int] = {}
        before: Fraction | None = None
        for number in sorted(numbers):
            is_near = before is not None and number - before <= exact_tolerance(self.tolerance)
            chains[number] = chains[before] if is_near and before is not None else len(chains)
            before = number
        return chains


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceEquivalence:
    """The same letter, however it is put: "(b)", "B." and "The answer is B"."""

    letters: str = "ABCDE"

    def __post_init__(self) -> None:
        ChoiceLetter(letters=self.letters)

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        letters = await read_soon(choice_letter, answers, self.letters)
        return groups_of(answers, letters.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonEquivalence:
    """The same JSON value: neither white space nor the order of keys counts, and 1 is 1.0.

    A text with a key that comes twice says two things and is read as none.
    """

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        values = await read_soon(canonical_json, answers)
        return groups_of(answers, values.__getitem__)


def exact_tolerance(tolerance: float) -> Fraction:
    """The tolerance as it is written: the float 0.3 itself is a little less than 3/10."""
    return Fraction(str(tolerance))


def choice_letter(text: str, letters: str) -> str | None:
    """The letter that an answer is; None where it is none."""
    return ChoiceLetter(letters=letters)(text)


def exact_number(answer: str) -> Fraction | None:
    """The value of an answer that is all one number; else None."""
    spelled = canonical_number(answer)
    return None if spelled is None else Fraction(spelled)


def canonical_json(text: str) -> str | None:
    """The one spelling of the JSON value in a text; None where it holds none.

    Numbers are exact, whatever their size: 1 is 1.0 and 1e400 is not 1e401.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=without_twins,
            parse_float=_spelled,
            parse_int=_spelled,
            parse_constant=_refuse,
        )
        return repr(_sorted(value))
    except (ValueError, RecursionError, ArithmeticError):
        return None


@dataclass(frozen=True, slots=True)
class _Number:
    """A number by its one spelling."""

    spelling: str


def _sorted(value: object) -> object:
    """The value with the keys of its objects in order; an array stays apart from an object."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _spelled(text: str) -> _Number:
    sign, digits, exponent = Decimal(text).normalize(Context(prec=MAX_PREC)).as_tuple()
    shown = "".join(map(str, digits))
    return _Number("0" if shown == "0" else f"{'-' * sign}{shown}e{exponent}")


def _refuse(text: str) -> float:
    raise ValueError(text)
