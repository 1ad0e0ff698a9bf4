"""Sums that a model does one step a line, so that each step can be checked by computing it."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from nbest.model_backend.fake.chains import WRONG
from nbest.orchestrator.types import Query

SHOTS = ((5, 8, 2, 4), (7, 9, 4, 6), (6, 3, 9, 5), (2, 6, 8, 9))
MARK = "Q: "  # before each sum; what stands before the last one are the worked ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A sum of several terms, none of them negative."""

    terms: tuple[int, ...]

    @property
    def text(self) -> str:
        """The sum as it is asked: `5 + 8 + 2`."""
        return " + ".join(map(str, self.terms))

    @property
    def lines(self) -> tuple[str, ...]:
        """What a right answer says, line by line."""
        total, lines = self.terms[0], []
        for term in self.terms[1:]:
            before, total = total, total + term
            lines.append(f"{before} + {term} = {total}")
        return (*lines, f"Answer: {total}")


def questions_of(count: int, terms: int, seed: int, is_fake: bool) -> list[Query]:
    """Make sums of so many terms with a digit each, behind a few worked ones."""
    chance = random.Random(seed)
    if is_fake:
        return [Query(id=f"q{seed}-{i}", prompt=f"chain {seed} {i}") for i in range(count)]
    shots = (Sum(terms=terms) for terms in SHOTS)
    worked = "".join(f"{MARK}{shot.text}\n" + "\n".join(shot.lines) + "\n\n" for shot in shots)
    queries = []
    for i in range(count):
        asked = Sum(terms=tuple(chance.randint(1, 9) for _ in range(terms)))
        prompt = f"{worked}{MARK}{asked.text}\n"
        queries.append(Query(id=f"q{seed}-{i}", prompt=prompt, meta={"terms": asked.terms}))
    return queries


def gold_of(query: Query) -> str:
    """The right answer: the sum, or 1 of the fake model."""
    terms = query.meta.get("terms")
    return str(sum(terms)) if isinstance(terms, tuple) else "1"


def is_right_so_far(query: Query, text: str) -> bool:
    """Whether every line that is complete says what a right answer says there."""
    terms = query.meta.get("terms")
    if not isinstance(terms, tuple):
        return WRONG not in text
    wanted, said = Sum(terms=terms).lines, lines_of(text)
    return len(said) <= len(wanted) and all(a == b for a, b in zip(said, wanted, strict=False))


def lines_of(text: str) -> list[str]:
    """The lines of an answer, with single spaces; none after its last line break."""
    said = [re.sub(r"\s+", " ", line).strip() for line in text.split("\n")]
    return said[:-1] if said and not said[-1] else said
