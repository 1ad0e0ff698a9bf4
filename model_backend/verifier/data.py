"""Examples that a verifier learns from or is tested on, by question. It knows no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """One response, and the verdict on it."""

    question: str  # the id of its query: the split is by these
    prompt: str | tuple[Message, ...]
    response: str
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Two responses to one question, of which one is better."""

    question: str
    prompt: str | tuple[Message, ...]
    chosen: str
    rejected: str


Example = Graded | Preference


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Examples to train on and to hold out. No question is in both: its samples are too alike."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]


def split_by_question(examples: Sequence[Example], holdout: float, seed: int) -> Split:
    """Hold out a share of the questions, at least one, by a hash of their ids and the seed.

    InputError where there are too few, or where a side lacks a class.
    """
    questions = sorted({example.question for example in examples}, key=lambda q: _rank(q, seed))
    if len(questions) < 2:
        raise InputError(
            f"a verifier needs 2 questions or more to learn from, got {len(questions)}"
        )
    count = min(max(1, round(holdout * len(questions))), len(questions) - 1)
    held_out = set(questions[:count])
    split = Split(
        train=tuple(example for example in examples if example.question not in held_out),
        held_out=tuple(example for example in examples if example.question in held_out),
    )
    _require_classes(split.train, "to learn from")
    _require_classes(split.held_out, "held out")
    return split


def distinct_examples(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Keep each example once, in the same order: short answers occur many times."""
    return tuple(dict.fromkeys(examples))


def pairs_of(graded: Iterable[Graded]) -> tuple[Preference, ...]:
    """Pair every right response of a question with every wrong one."""
    by_question: dict[str, list[Graded]] = {}
    for response in graded:
        by_question.setdefault(response.question, []).append(response)
    return tuple(
        Preference(
            question=question,
            prompt=right.prompt,
            chosen=right.response,
            rejected=wrong.response,
        )
        for question, group in by_question.items()
        for right in group
        if right.is_right
        for wrong in group
        if not wrong.is_right
    )


def _require_classes(examples: Sequence[Example], where: str) -> None:
    verdicts = [example.is_right for example in examples if isinstance(example, Graded)]
    if verdicts and len(set(verdicts)) < 2:
        only = "right" if verdicts[0] else "wrong"
        raise InputError(
            f"a verifier needs right and wrong responses, got {len(verdicts)} {where}, all {only}"
        )


def _rank(question: str, seed: int) -> bytes:
    text = f"{seed}/{question}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).digest()
