"""Minimum Bayes risk: the answer that is, on average, most like all the others.

Kumar and Byrne 2004; Eikema and Aziz 2022 (arXiv 2108.04718). With a utility that asks for equality
it is the majority vote, so both are special cases of one rule.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Scores, require

Utility = Callable[[str, str], float]
"""How good the first text is if the second is the truth; higher is better."""

_NGRAM = 6
_WORD = re.compile(r"\w+|[^\w\s]")


def exact_match(text: str, truth: str) -> float:
    """1 if they are equal, else 0."""
    return float(text == truth)


def token_f1(text: str, truth: str) -> float:
    """Harmonic mean of precision and recall of words and signs, case ignored; symmetric."""
    return _f1(_words(text), _words(truth))


def chrf(text: str, truth: str) -> float:
    """Mean F1 of the character n-grams of 1 to 6 characters, spaces left out; symmetric.

    Popović 2015, with beta = 1. Lengths that neither text reaches do not count.
    """
    one, two = "".join(text.split()), "".join(truth.split())
    longest = min(_NGRAM, max(len(one), len(two)))
    scores = [_f1(_ngrams(one, n), _ngrams(two, n)) for n in range(1, longest + 1)]
    return math.fsum(scores) / len(scores) if scores else 1.0


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def _f1(one: Counter[str], two: Counter[str]) -> float:
    total = one.total() + two.total()
    shared = one.keys() & two.keys()
    # This is (one & two).total() without the counter in between, in half the time.
    overlap = sum(map(min, map(one.__getitem__, shared), map(two.__getitem__, shared)))
    return 2 * overlap / total if total else 1.0


UTILITIES: Mapping[str, Utility] = {"exact": exact_match, "f1": token_f1, "chrf": chrf}

_COUNTS: Mapping[str, Callable[[str], Sequence[Counter[str]]]] = {
    "f1": lambda text: [_words(text)],
    "chrf": lambda text: [_ngrams("".join(text.split()), n) for n in range(1, _NGRAM + 1)],
}
"""What a text is counted as, by utility: the utility of a pair is the mean F1 of these counts."""


def tabulated(name: str, texts: Sequence[str]) -> Utility:
    """The utility `token_f1` ("f1") or `chrf` of pairs of these different texts, from a table.

    It gives the same numbers as the plain function. Each text is counted once, not once a pair, and
    each pair is compared once, since both utilities are symmetric, and 1 for equal texts.
    """
    counts = [_COUNTS[name](text) for text in texts]
    table = np.ones((len(texts), len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        table[i, j] = table[j, i] = _mean_f1(counts[i], counts[j])
    place = {text: i for i, text in enumerate(texts)}
    return lambda text, truth: table.item(place[text], place[truth])


def _mean_f1(one: Sequence[Counter[str]], two: Sequence[Counter[str]]) -> float:
    """The mean over the kinds of counts that are not empty on both sides."""
    scores = [_f1(a, b) for a, b in zip(one, two, strict=True) if a or b]
    return math.fsum(scores) / len(scores) if scores else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumBayesRisk:
    """Scores a candidate by its mean utility against all the other candidates.

    The utility is computed for each pair of distinct answers, so time and memory grow with the
    square of their number A, not with N. Read whole texts (`WholeText`) to choose among texts. A
    function of the user's own may stand in for the names; it must not raise.

    Example: `MinimumBayesRisk(utility="chrf")`
    """

    needs_logprobs: ClassVar[int | None] = None

    utility: Literal["exact", "f1", "chrf"] | Utility = "f1"

    def __post_init__(self) -> None:
        is_known = callable(self.utility) or self.utility in UTILITIES
        rule = f"be one of {', '.join(UTILITIES)}, or a function"
        require(is_known, "utility", rule, self.utility)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        counts = Counter(answer for answer in candidates.answers if answer is not None)
        mean = _mean_utilities(counts, self._utility_of(list(counts)))
        scores = [math.nan if a is None else mean[a] for a in candidates.answers]
        return np.array(scores, np.float64)

    def _utility_of(self, answers: Sequence[str]) -> Utility:
        if callable(self.utility):
            return self.utility
        if self.utility in _COUNTS:
            return tabulated(self.utility, answers)
        return UTILITIES[self.utility]


def _mean_utilities(counts: Counter[str], utility: Utility) -> dict[str, float]:
    """By answer, the mean utility of a candidate that has it against all the other candidates."""
    others = max(counts.total() - 1, 1)
    return {
        answer: math.fsum(
            (count - (truth == answer)) * utility(answer, truth)
            for truth, count in counts.items()
            if count > (truth == answer)
        )
        / others
        for answer in counts
    }
