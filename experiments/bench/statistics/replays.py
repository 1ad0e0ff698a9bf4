"""Whether a replay says what a live run pays, on the fake engine in virtual time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.replay import replay_cases
from nbest.experiments.bench.statistics.promise import Promise
from nbest.experiments.runs.cases import Case
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.query.selection import WholeText, read_answers
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query, Request, Sample, Selection
from nbest.scorers.votes.majority import MajorityVote

MAX_N, POOL = 16, 32
AHEADS = (1, 4, 8)


@dataclass(frozen=True, slots=True)
class Paced:
    """A model whose samples differ in length; how often it is right depends on the question."""

    seed: int

    def __call__(self, request: Request) -> Reply:
        question = request.id.split("/")[1]
        chance = np.random.default_rng([self.seed, zlib.crc32(question.encode())]).beta(4, 4)
        rng = np.random.default_rng([self.seed, zlib.crc32(request.id.encode())])
        coin = rng.random()
        says = "7" if coin < chance else str(rng.integers(1, 4))
        count = int(np.exp(rng.normal(4.0, 0.6))) + 2
        return Reply(tokens=("",) * (count - 1) + (says,), token_s=0.01)


def replay_promises(questions: int, shuffles: int, seed: int) -> Iterator[Promise]:
    """Yield the saving and the accuracy of live runs, and what replays say of other samples."""
    cases = [_case(query, samples) for query, samples in _drawn(questions, seed)]
    for ahead in AHEADS:
        replayed = replay_cases(cases, ReplayedAdaptive(ahead=ahead), MAX_N, shuffles)
        chosen = _live(Adaptive(max_n=MAX_N, select=MajorityVote(), ahead=ahead), questions, seed)
        whole = replayed.tokens_fixed
        tokens = np.array([sum(s.generated_tokens for s in one.samples) for one in chosen])
        right = np.array([float(one.answer == "7") for one in chosen])
        error = float(np.std(tokens, ddof=1)) / whole / questions**0.5
        spread = (replayed.saving_high - replayed.saving_low) / 4
        yield Promise(
            name=f"saving of a live run with ahead {ahead}, as a replay says",
            nominal=replayed.saving,
            observed=1 - float(tokens.mean()) / whole,
            error=max(float(np.hypot(error, spread)), 0.005 / 3),
            side="equal",
        )
        yield Promise(
            name=f"accuracy of a live run with ahead {ahead}, as a replay says",
            nominal=replayed.accuracy,
            observed=float(right.mean()),
            error=float(np.std(right, ddof=1) / questions**0.5),
            side="equal",
        )


def _drawn(questions: int, seed: int) -> list[tuple[Query, Sequence[Sample]]]:
    """The questions with their whole pools."""
    chosen = _live(BestOfN(n=POOL, select=MajorityVote()), questions, seed)
    return [(_query(q), one.samples) for q, one in enumerate(chosen)]


def _query(place: int) -> Query:
    return Query(id=f"q{place}", prompt="?")


def _live(strategy: Adaptive | BestOfN, questions: int, seed: int) -> list[Selection]:
    """What the strategy chooses on a fake engine, question after question."""

    async def answered() -> list[Selection]:
        work = Work(run="r", seed=seed, strategy=strategy, directory=None)
        chosen = []
        async with open_loop(work, FakeBackend(script=Paced(seed))) as here:
            for q in range(questions):
                outcome = await here.loop.answer(_query(q))
                assert outcome.selection is not None, outcome.record.error
                chosen.append(outcome.selection)
        return chosen

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(answered())


def _case(query: Query, samples: Sequence[Sample]) -> Case:
    candidates = read_answers(samples, WholeText())
    verdicts = {a: float(a == "7") for a in candidates.answers if a is not None}
    return Case(query=query, candidates=candidates, verdicts=verdicts, is_graded=True)
