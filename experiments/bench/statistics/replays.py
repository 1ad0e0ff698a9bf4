"""Whether a replay says what a live run pays, on the fake engine in virtual time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.figures import ratio_interval
from nbest.experiments.analysis.replay.replay import replay_cases
from nbest.experiments.bench.statistics.promise import Promise, share_of
from nbest.experiments.runs.case import Case
from nbest.model_backend.fake.clocks import VirtualTime
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.fake.script import Reply
from nbest.orchestrator.query.selection import WholeText, read_answers
from nbest.orchestrator.run.job import Work
from nbest.orchestrator.run.local import open_loop
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.best_of_n import BestOfN
from nbest.orchestrator.types import Query, Request, Sample, Selection
from nbest.scorers.estimators.paired import paired_difference
from nbest.scorers.votes.majority import MajorityVote

MAX_N, POOL = 16, 64
DRAWS = 8  # live runs of each question
AHEADS = (1, 4, 8)
SPENDINGS = (  # what a rule spends of a question's tokens: the one share, or the other, how often
    ("nearly all alike", 0.25, 1.0, 0.98),
    ("most saved", 0.05, 1.0, 0.9),
    ("half of each", 0.25, 1.0, 0.5),
    ("hardly any saved", 1.0, 0.25, 0.95),
)


@dataclass(frozen=True, slots=True)
class Paced:
    """A model whose samples differ in length; how often it is right depends on the question."""

    seed: int
    draw: int  # another one draws other samples of the same questions

    def __call__(self, request: Request) -> Reply:
        question = request.id.split("/")[1]
        chance = np.random.default_rng([self.seed, zlib.crc32(question.encode())]).beta(4, 4)
        rng = np.random.default_rng([self.seed, self.draw, zlib.crc32(request.id.encode())])
        coin = rng.random()
        says = "7" if coin < chance else str(rng.integers(1, 4))
        count = int(np.exp(rng.normal(4.0, 0.6))) + 2
        return Reply(tokens=("",) * (count - 1) + (says,), token_s=0.01)


def replay_promises(questions: int, shuffles: int, seed: int) -> Iterator[Promise]:
    """Yield the saving and the accuracy of live runs, and what replays say of other samples.

    Live runs and replays are compared question by question, so how much questions differ is no part
    of the error.
    """
    cases = [_case(query, samples) for query, samples in _drawn(questions, seed)]
    for ahead in AHEADS:
        strategy = Adaptive(max_n=MAX_N, select=MajorityVote(), ahead=ahead)
        lives = [_live(strategy, questions, Paced(seed, draw)) for draw in range(1, DRAWS + 1)]
        tokens = np.array([[_tokens(one) for one in live] for live in lives]).mean(axis=0)
        right = np.array([[one.answer == "7" for one in live] for live in lives]).mean(axis=0)
        each = [
            replay_cases([case], ReplayedAdaptive(ahead=ahead), MAX_N, shuffles) for case in cases
        ]
        whole = float(np.mean([one.tokens_fixed for one in each]))
        spent = np.array([one.tokens for one in each])
        figures = {
            "saving": (1 - spent / whole, 1 - tokens / whole),
            "accuracy": (np.array([one.accuracy for one in each]), right),
        }
        for name, (replayed, live) in figures.items():
            yield Promise(
                name=f"{name} of a live run with ahead {ahead}, as a replay says",
                nominal=float(replayed.mean()),
                observed=float(live.mean()),
                error=float(np.std(live - replayed, ddof=1)) / questions**0.5,
                side="equal",
            )


def saving_promises(studies: int, seed: int) -> Iterator[Promise]:
    """Yield how often the intervals of a replay's saving and gain hold the truth.

    The tokens of all samples differ from question to question, and a rule spends one of two shares
    of them. Few questions lose a right answer by it.
    """
    rng = np.random.default_rng(seed)
    for questions in (8, 32, 200):
        for label, low, high, share in SPENDINGS:
            held = []
            for _ in range(studies):
                whole = np.exp(rng.normal(7, 0.8, questions))
                spent = np.where(rng.random(questions) < share, low, high)
                _, below, above = ratio_interval(spent * whole, whole)
                held.append(below <= share * low + (1 - share) * high <= above)
            yield share_of(f"saving, {label}, Q={questions}", "at least", 0.95, held)
        for losing in (0.02, 0.1):
            held = []
            for _ in range(studies):
                fixed = np.ones(questions)
                right = fixed - (rng.random(questions) < losing) * rng.choice([0.1, 1.0], questions)
                _, below, above = paired_difference(right, fixed)
                held.append(below <= -0.55 * losing <= above)
            name = f"gain where {losing:.0%} of the questions lose, Q={questions}"
            yield share_of(name, "at least", 0.95, held)


def _tokens(selection: Selection) -> int:
    return sum(sample.generated_tokens for sample in selection.samples)


def _drawn(questions: int, seed: int) -> list[tuple[Query, Sequence[Sample]]]:
    """The questions with their whole pools."""
    strategy = BestOfN(n=POOL, select=MajorityVote())
    chosen = _live(strategy, questions, Paced(seed, draw=0))
    return [(_query(q), one.samples) for q, one in enumerate(chosen)]


def _query(place: int) -> Query:
    return Query(id=f"q{place}", prompt="?")


def _live(strategy: Adaptive | BestOfN, questions: int, model: Paced) -> list[Selection]:
    """What the strategy chooses on a fake engine, question after question."""

    async def answered() -> list[Selection]:
        work = Work(run="r", seed=model.seed, strategy=strategy, directory=None)
        chosen = []
        async with open_loop(work, FakeBackend(script=model)) as here:
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
