"""The questions of a run at a glance: what was answered, how often, what selectors chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.exchange.export_answers import AnswerRow, answer_row
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.types import Candidates, Sample, Status

CONTESTED = 0.2  # how far the leading answer is ahead at most, as a share of the votes
SHOWN_CHARACTERS = 300  # of a question and of an answer in a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """An answer, and the samples that give it."""

    answer: str
    samples: tuple[int, ...]  # by place
    is_right: bool | None  # None: nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """The samples without an answer that ended in one way."""

    status: str  # cut off, without an answer, failed, aborted
    samples: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """A question of a run."""

    id: str
    question: str
    gold: str | None
    choices: tuple[AnswerRow, ...]  # a selector each, the run's own first
    votes: tuple[Votes, ...]  # the most frequent first
    silent: tuple[Silent, ...]
    samples: int
    tokens: int  # generated for all samples

    @property
    def is_right(self) -> bool | None:
        """Whether the first selector is right; None where nobody can tell."""
        return self.choices[0].correct if self.choices else None

    @property
    def agreement(self) -> float | None:
        """The share of the answers that agree with that of the first selector."""
        return self.choices[0].confidence if self.choices else None

    def kinds(self) -> tuple[str, ...]:
        """The words that it can be filtered by."""
        found = {
            "right": self.is_right is True,
            "wrong": self.is_right is False,
            "contested": self._margin() <= CONTESTED,
            "cut off": any(one.status == "cut off" for one in self.silent),
            "selectors differ": len({choice.answer for choice in self.choices}) > 1,
            "abstained": bool(self.choices) and self.choices[0].answer is None,
        }
        return tuple(name for name, holds in found.items() if holds)

    def _margin(self) -> float:
        """How far the leading answer is ahead, as a share of the votes; 1 without any."""
        counts = [len(vote.samples) for vote in self.votes]
        if not counts:
            return 1.0
        return (counts[0] - (counts[1] if len(counts) > 1 else 0)) / sum(counts)


KINDS = ("right", "wrong", "contested", "cut off", "selectors differ", "abstained")


async def question_row(case: Case, scorers: Mapping[str, Scorer], gold: Gold | None) -> QuestionRow:
    """The row of a case; a selector that fails has a choice that says so."""
    choices = [await answer_row(name, scorer, case, gold) for name, scorer in scorers.items()]
    return QuestionRow(
        id=case.query.id,
        question=choices[0].question if choices else "",
        gold=gold.answer if gold else None,
        choices=tuple(choices),
        votes=tuple(votes_of(case)),
        silent=tuple(silent_of(case.candidates)),
        samples=len(case.candidates),
        tokens=case.tokens,
    )


def votes_of(case: Case) -> list[Votes]:
    """The answers of a case, the most frequent first; of equally frequent ones by their text."""
    places: dict[str, list[int]] = {}
    for place, answer in enumerate(case.candidates.answers):
        if answer is not None:
            places.setdefault(answer, []).append(place)
    ordered = sorted(places.items(), key=lambda one: (-len(one[1]), one[0]))
    return [
        Votes(answer=answer, samples=tuple(found), is_right=case.is_right(answer))
        for answer, found in ordered
    ]


def silent_of(candidates: Candidates) -> Iterator[Silent]:
    """The samples without an answer, by how they ended."""
    words: dict[str, list[int]] = {}
    for place, (sample, answer) in enumerate(
        zip(candidates.samples, candidates.answers, strict=True)
    ):
        if answer is None:
            words.setdefault(status_word(sample), []).append(place)
    for word, places in words.items():
        yield Silent(status=word, samples=tuple(places))


def status_word(sample: Sample) -> str:
    """How a sample without an answer ended, in the words of the tables."""
    words = {Status.TRUNCATED: "cut off", Status.ERROR: "failed", Status.CANCELLED: "aborted"}
    return words.get(sample.status, "without an answer")


def counted(rows: Sequence[QuestionRow]) -> dict[str, int]:
    """How many rows are of each kind."""
    counts = Counter(kind for row in rows for kind in row.kinds())
    return {kind: counts[kind] for kind in KINDS}
