"""Parts of users: refused before anything starts, and named where they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nbest import BestOfN, FakeBackend, First, LastNumber, MajorityVote, SeededAnswers, ask
from nbest.orchestrator.errors import InputError, PartFailed
from nbest.orchestrator.types import Candidates, Query

BACKEND = FakeBackend(script=SeededAnswers(answers=("7", "8"), weights=(1, 1)))


def scores(candidates: Candidates) -> Any:
    return np.ones(len(candidates))


@dataclass(frozen=True)
class Mine:
    """A scorer that gives what a function gives."""

    gives: Callable[[Candidates], Any] = scores
    needs_logprobs: int | None = None

    async def __call__(self, query: Query, candidates: Candidates) -> Any:
        return self.gives(candidates)


def raises(error: BaseException) -> Callable[[object], Any]:
    def raise_it(_: object) -> Any:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"select": MajorityVote}, r"select must be an object, MajorityVote\(\) and not its class"),
        ({"select": lambda query, candidates: None}, "select must have needs_logprobs"),
        ({"select": "vote"}, "select must be an object that can be called"),
        ({"select": First(), "extract": LastNumber}, r"extract must be an object, LastNumber\(\)"),
        ({"select": First(), "extract": "last_number"}, "extract must be an object that can be"),
        ({"select": First(), "equivalence": 7}, "equivalence must be an object that can be called"),
    ],
)
def test_what_is_no_part_is_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BestOfN(n=4, **settings)


@pytest.mark.parametrize("given", [lambda c: [1.0] * len(c), lambda c: (1,) * len(c), scores])
def test_scores_may_be_any_numbers_in_a_row(given: Callable[[Candidates], Any]) -> None:
    assert ask("?", BestOfN(n=3, select=Mine(given)), BACKEND).index == 0


@pytest.mark.parametrize("given", [lambda c: 1.0, lambda c: None, lambda c: [[1.0]], lambda c: "x"])
def test_other_things_are_named(given: Callable[[Candidates], Any]) -> None:
    with pytest.raises(Exception, match=r"the scores of Mine\(.* must "):
        ask("?", BestOfN(n=3, select=Mine(given)), BACKEND)


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), ValueError("no"), asyncio.CancelledError(), SystemExit(3), RecursionError()],
    ids=lambda error: type(error).__name__,
)
def test_what_a_scorer_raises_is_its_error_with_its_line(error: BaseException) -> None:
    with pytest.raises(PartFailed) as caught:
        ask("?", BestOfN(n=3, select=Mine(raises(error))), BACKEND)
    assert str(caught.value).startswith(f"select Mine: {type(error).__name__}")
    assert "(test_parts.py:" in str(caught.value)
    assert caught.value.__cause__ is error


def test_what_an_extractor_raises_is_named() -> None:
    with pytest.raises(PartFailed, match=r"extract raise_it: KeyError: 'x' \(test_parts.py:"):
        ask("?", BestOfN(n=2, select=First(), extract=raises(KeyError("x"))), BACKEND)


def test_an_equivalence_of_another_length_is_named() -> None:
    async def short(query: Query, answers: Sequence[str]) -> Sequence[int]:
        return [0]

    with pytest.raises(Exception, match="must give one number for each of 2 answers, got 1"):
        ask("?", BestOfN(n=8, select=First(), equivalence=short), BACKEND)


async def test_a_real_cancellation_stays_one() -> None:
    begun = asyncio.Event()

    @dataclass(frozen=True)
    class Waits:
        needs_logprobs: int | None = None

        async def __call__(self, query: Query, candidates: Candidates) -> Any:
            begun.set()
            await asyncio.Event().wait()

    strategy = BestOfN(n=1, select=Waits())

    task = asyncio.create_task(strategy.of(Query(id="q", prompt="p"), [], Calls()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Calls:
    ask = ask_model = rate = None
