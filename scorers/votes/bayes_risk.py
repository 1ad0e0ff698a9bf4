"""Minimum Bayes risk: the answer that is, on average, most like all the others.

Kumar and Byrne 2004; Eikema and Aziz 2022 (arXiv 2108.04718). With a utility that asks for equality
it is the majority vote, so both are special cases of one rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.sandboxes.processes import Unfinished, reading_processes
from nbest.scorers.sandboxes.threads import threads_for
from nbest.scorers.votes.shared_ngrams import MAX_NGRAM, utility_table, words_of

Utility = Callable[[str, str], float]
"""How good the first text is if the second is the truth; higher is better."""


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
    longest = min(MAX_NGRAM, max(len(one), len(two)))
    scores = [_f1(_ngrams(one, n), _ngrams(two, n)) for n in range(1, longest + 1)]
    return math.fsum(scores) / len(scores) if scores else 1.0


def _words(text: str) -> Counter[str]:
    return Counter(words_of(text))


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def _f1(one: Counter[str], two: Counter[str]) -> float:
    total = one.total() + two.total()
    shared = one.keys() & two.keys()
    # This is (one & two).total() without the counter in between, in half the time.
    overlap = sum(map(min, map(one.__getitem__, shared), map(two.__getitem__, shared)))
    return 2 * overlap / total if total else 1.0


FEW_CHARACTERS = 2_000  # of all answers together: comparing them takes a millisecond or two
TABLE_S = 600.0

UTILITIES: Mapping[str, Utility] = {"exact": exact_match, "f1": token_f1, "chrf": chrf}


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumBayesRisk:
    """Scores a candidate by its mean utility against all the other candidates.

    The utility is computed for each pair of distinct answers, so time and memory grow with the
    square of their number A, not with N; long texts are compared in a child process, 256 of 20,000
    characters in some ten seconds. Read whole texts (`WholeText`) to choose among texts. A function
    of the user's own may stand in for the names; it is called in a thread, and must not raise.

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
        means = await self._means(counts)
        mean_of = dict(zip(counts, means, strict=True))
        scores = [math.nan if a is None else mean_of[a] for a in candidates.answers]
        return np.array(scores, np.float64)

    async def _means(self, counts: Counter[str]) -> list[float]:
        """By answer, in the order of the counts, its mean utility."""
        if callable(self.utility):
            return await threads_for("users").call(mean_utilities, counts, self.utility)
        if self.utility == "exact":  # the share of the others that say the same
            return [(count - 1) / max(counts.total() - 1, 1) for count in counts.values()]
        if sum(map(len, counts)) <= FEW_CHARACTERS:
            return mean_utilities(counts, UTILITIES[self.utility])
        texts, votes = list(counts), list(counts.values())
        calls = [(self.utility, texts, votes)]
        (means,) = await reading_processes().call_each(TABLE_S, tabulated_means, calls)
        if isinstance(means, Unfinished):
            raise means
        return means


def mean_utilities(counts: Mapping[str, int], utility: Utility) -> list[float]:
    """By answer, the mean utility of a candidate that has it against all the other candidates."""
    others = max(sum(counts.values()) - 1, 1)
    return [
        math.fsum(
            (count - (truth == answer)) * utility(answer, truth)
            for truth, count in counts.items()
            if count > (truth == answer)
        )
        / others
        for answer in counts
    ]


def tabulated_means(name: str, texts: Sequence[str], votes: Sequence[int]) -> list[float]:
    """Do as `mean_utilities` does by `token_f1` ("f1") or `chrf`, to the last bit, from a table.

    Every two texts are compared once, for both utilities are symmetric.
    """
    table = utility_table(name, texts).tolist()
    place = {text: i for i, text in enumerate(texts)}
    counts = dict(zip(texts, votes, strict=True))
    return mean_utilities(counts, lambda text, truth: table[place[text]][place[truth]])
