"""A budget for a whole batch: the next samples go to the questions that they may still change.

A rule for each question alone stops where it is content, and the cost of a batch is known only at
the end. Here the cost is fixed, and easy questions leave what they do not need to hard ones. As in
Blend-ASC (Feng, Alonso and Odonnat 2025, arXiv 2511.12309) questions compete for every sample; the
measure is the chance that the leader is overtaken, for each sample that this takes.

This module is pure: `within_budget` draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from nbest.orchestrator.requirements import require
from nbest.orchestrator.strategies.stop_on_votes import overtakes


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchBudget:
    """The budget of a batch of questions, in samples or in tokens, and how it is spent.

    `average` is how many samples a question gets on average; `tokens` how many may be generated
    for the batch. Every question gets `first_n` samples; then, in rounds, the questions at which a
    sample is worth most get one each, until the budget is spent: `round_size` of them, a 64th of
    the batch where that is more, and an eighth where that is less. None gets more than `max_n`. A
    round is settled before the next begins: which questions get samples does not depend on which
    answers come first.

    The length of a sample is known only at its end, so a round is as large as the remaining tokens
    allow for samples of the mean length so far, and the first round is one sample: the tokens spent
    miss `tokens` by no more than one round misses its mean. First samples come in rounds, too:
    where the tokens do not suffice, the last questions get none and end out of budget.
    """

    average: float | None = None  # samples a question
    tokens: int | None = None  # generated, of the whole batch
    max_n: int = 64
    first_n: int = 3
    round_size: int = 64

    def __post_init__(self) -> None:
        limits = [key for key in ("average", "tokens") if getattr(self, key) is not None]
        require(len(limits) == 1, "budget", "set exactly one of average, tokens", limits)
        rule = f"lie in 1..{self.max_n}, the most samples of a question"
        require(1 <= self.first_n <= self.max_n, "first_n", rule, self.first_n)
        if self.average is not None:
            rule = f"lie in {self.first_n}..{self.max_n}, from first_n to max_n"
            require(self.first_n <= self.average <= self.max_n, "average", rule, self.average)
        if self.tokens is not None:
            require(self.tokens >= 1, "tokens", "be at least 1", self.tokens)
        require(self.round_size >= 1, "round_size", "be at least 1", self.round_size)

    def next(
        self,
        answers: Sequence[Sequence[str | None]],
        spent_tokens: int = 0,
        closed: Set[int] = frozenset(),
    ) -> list[int]:
        """Which questions get a sample in the next round; none when the budget is spent.

        `answers` are those of each question so far, in the order of the indices; those that are
        `closed` get no more. A question that gets several of its first samples is listed as often.
        """
        open_questions = [
            q for q, a in enumerate(answers) if len(a) < self.max_n and q not in closed
        ]
        firsts = [q for i in range(self.first_n) for q in open_questions if len(answers[q]) <= i]
        remaining = self._remaining(sum(map(len, answers)), len(answers), spent_tokens)
        if firsts:
            size = (
                remaining if self.tokens is None else min(self._round_size(len(answers)), remaining)
            )
            return firsts[: max(0, size)]
        open_questions.sort(key=lambda q: (-self._worth(answers[q]), len(answers[q]), q))
        size = min(self._round_size(len(answers)), max(1, len(answers) // 8), remaining)
        return open_questions[: max(0, size)]

    def _round_size(self, questions: int) -> int:
        """How many samples a round has; a large batch has some 500 rounds."""
        return max(self.round_size, questions // 64)

    def _remaining(self, drawn: int, questions: int, spent_tokens: int) -> int:
        """How many samples the budget still has room for."""
        if self.average is not None:
            return int(self.average * questions) - drawn
        assert self.tokens is not None  # one of the two is set
        if not spent_tokens:
            return 1  # to learn how long they are
        return int((self.tokens - spent_tokens) * drawn / spent_tokens)

    def _worth(self, answers: Sequence[str | None]) -> float:
        counts = Counter(answer for answer in answers if answer is not None)
        votes = tuple(sorted(counts.values(), reverse=True))
        return worth(votes, len(answers), self.max_n - len(answers))


@lru_cache(maxsize=262_144)
def worth(votes: tuple[int, ...], drawn: int, remaining: int) -> float:
    """The chance, for each sample, that up to `remaining` more samples change the answer.

    `votes` [A] are those of the answers, most first, of `drawn` samples. For m more samples the
    chances of the rivals, and of one that has not appeared, are summed up and divided by m; the
    best m counts, for one sample alone can hardly turn a vote. It is 1 where there is no vote yet.
    """
    if not votes:
        return 1.0
    best, m = 0.0, 1
    while m <= remaining:
        rivals = (*votes[1:], 0)
        chance = sum(overtakes(votes[0], r, drawn - votes[0] - r, m, 1.0) for r in rivals)
        best = max(best, min(1.0, chance) / m)
        m *= 2
    return best
