r"""Study: searches over steps against whole answers, at as many tokens, by scores of known quality.

    python -m nbest.experiments.studies.search_against_sampling [--questions 40] [--sizes 4,16]

Sums are done one step a line, so each step can be checked by computing it: that is the oracle. A
shuffled score knows nothing. With `--verifier FOLDER` a process model is trained on chains of other
sums, and what a search by it should win is foretold from its mistakes before it is run. Every
strategy of a seed grows the same tree, so what one has drawn costs the next nothing; each is
charged with all that it uses. `--fake 0.8` answers by a fake model whose steps are right by that
chance, in seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of
from nbest.experiments.cli.ending import run_command
from nbest.experiments.studies.search_against_sampling.scores import (
    ORACLE,
    SHUFFLED,
    TRAINED,
    Oracle,
    Quality,
    Recorded,
    Shuffled,
    quality_of,
)
from nbest.experiments.studies.search_against_sampling.strategies import (
    NAMES,
    WIDTH,
    searching,
    strategies_of,
)
from nbest.experiments.studies.search_against_sampling.sums import gold_of, questions_of
from nbest.experiments.studies.search_against_sampling.verifier import (
    examples_of,
    foretold,
    is_trained,
    trained,
)
from nbest.model_backend.fake.chains import ChainScript
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.engines.pool import Pool
from nbest.orchestrator.protocols import BackendConfig, Scorer, Strategy
from nbest.orchestrator.query.model_calls import models_of
from nbest.orchestrator.run.local import running_pool
from nbest.orchestrator.run.loop import Answered, Loop, one_lease
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.strategies.search.levels import Beam
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Query, Scores, Selection
from nbest.scorers.estimators.paired import Difference, paired_difference
from nbest.scorers.judges.reward import RewardModel

LEARNING, CALIBRATION = 1_001, 1_002  # seeds of questions that the study does not ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is asked."""

    questions: int  # of each seed
    terms: int  # of a sum; one step less, and the answer
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    strategies: tuple[str, ...]  # by name; the best of n is among them
    learning: int  # questions that a verifier is trained on, and as many that measure it


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one strategy is worth at one size, over all questions and seeds."""

    name: str
    score: str
    n: int
    accuracy: Accuracy
    tokens: float  # generated, a question
    read: float  # tokens that the score reads, a question
    gain: Difference  # over the best of n whole answers by the same score, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The strategies, on one model."""

    size: Size
    pool: Pool
    models: Mapping[str, Pool]
    is_fake: bool

    def asked(self, seed: int, count: int) -> list[Query]:
        """The questions of a seed."""
        return questions_of(count, self.size.terms, seed, self.is_fake)

    def loop(self, strategy: Strategy, store: MemoryStore, seed: int) -> Loop:
        """A loop that draws into this store."""
        return Loop(
            strategy=strategy,
            pool=self.pool,
            store=store,
            run="study",
            seed=seed,
            models=self.models,
        )

    async def lines(self, scores: Mapping[str, Scorer], names: Sequence[str]) -> list[Line]:
        """Run every strategy at every size by each named score, on the questions of every seed."""
        worths: dict[tuple[str, str, int], list[Scores]] = {}
        spent: dict[tuple[str, str, int], list[Scores]] = {}
        for seed in self.size.seeds:
            store = MemoryStore()
            queries = self.asked(seed, self.size.questions)
            every = {**scores, SHUFFLED: Shuffled(seed=seed)}
            known = {name: score for name, score in every.items() if name in names}
            for n in self.size.sizes:
                for name, score, strategy in strategies_of(n, self.size.terms, seed, known):
                    if name not in self.size.strategies:
                        continue
                    answered = await answers_of(self.loop(strategy, store, seed), queries)
                    right = rights_of(queries, answered)
                    worths.setdefault((name, score, n), []).append(right)
                    spent.setdefault((name, score, n), []).append(tokens_of(answered))
                    print(f"seed {seed}, n={n}, {name}, {score}: {right.mean():.3f}", flush=True)
        return [
            line_of(key, np.concatenate(parts), np.concatenate(spent[key], axis=1), worths)
            for key, parts in worths.items()
        ]

    async def graded(self, seed: int, score: Scorer) -> list[tuple[Query, Answered]]:
        """Whole answers to questions that the study does not ask, each step rated."""
        queries = self.asked(seed, self.size.learning)
        strategy = searching(Beam(n=16, width=1), score, score, self.size.terms, seed)
        answered = await answers_of(self.loop(strategy, MemoryStore(), seed), queries)
        return list(zip(queries, answered, strict=True))


def line_of(
    key: tuple[str, str, int],
    right: Scores,
    spent: Scores,
    worths: Mapping[tuple[str, str, int], Sequence[Scores]],
) -> Line:
    """What a strategy is worth beside the best of as many whole answers."""
    name, score, n = key
    best = np.concatenate(worths["best of n", score, n])
    return Line(
        name=name,
        score=score,
        n=n,
        accuracy=accuracy_of(right),
        tokens=float(spent[0].mean()),
        read=float(spent[1].mean()),
        gain=paired_difference(right, best),
    )


async def answers_of(loop: Loop, queries: Sequence[Query]) -> list[Answered]:
    """What became of each question, in their order."""
    answered: dict[str, Answered] = {}
    await loop.answer_leases(
        one_lease(queries), lambda one: answered.update({one.record.query_id: one})
    )
    return [answered[query.id] for query in queries]


def rights_of(queries: Sequence[Query], answered: Sequence[Answered]) -> Scores:
    """[Q] 1 where the answer is the right one."""
    pairs = zip(queries, answered, strict=True)
    return np.array([float(one.record.answer == gold_of(query)) for query, one in pairs])


def tokens_of(answered: Sequence[Answered]) -> Scores:
    """[2, Q] the tokens that were generated, and those that scorers read and wrote."""
    bills = [one.record.usage for one in answered]
    return np.array([[b.generated_tokens for b in bills], [b.scorer_tokens for b in bills]], float)


async def whole_study(
    backend: BackendConfig, size: Size, names: Sequence[str], folder: Path | None
) -> list[Line]:
    """Train and measure what has to be, then compare."""
    async with AsyncExitStack() as running:
        engine = LocalEngine(backend, "engine0")
        pool = await running.enter_async_context(running_pool(engine, backend))
        models: dict[str, Pool] = {}
        is_fake = isinstance(backend, FakeBackend)
        study = Study(size=size, pool=pool, models=models, is_fake=is_fake)
        scores: dict[str, Scorer] = {ORACLE: Oracle()}
        if folder is not None:
            verifier = await verifier_of(study, folder)
            for key, model in models_of(verifier).items():
                rater = LocalEngine(model, "reward0")
                models[key] = await running.enter_async_context(running_pool(rater, model))
            recorded = Recorded(score=verifier)
            answered = await study.graded(CALIBRATION, recorded)
            print(prospect(quality_of(recorded.of_chains(chains_of(answered))), size), flush=True)
            scores[TRAINED] = verifier
        return await study.lines(scores, names)


async def verifier_of(study: Study, folder: Path) -> RewardModel:
    """A verifier that was trained on chains of other sums."""
    answered = [] if is_trained(folder) else await study.graded(LEARNING, Oracle())
    return trained(examples_of(chains_of(answered)), folder)


def chains_of(answered: Sequence[tuple[Query, Answered]]) -> list[tuple[Query, Selection]]:
    """The questions that have a selection, with it."""
    return [(query, one.selection) for query, one in answered if one.selection is not None]


def prospect(quality: Quality, size: Size) -> str:
    """Say what a score knows of steps, and what greedy steps by it should lead to."""
    by_depth = ", ".join(f"{value:.3f}" for value in quality.auroc_by_depth)
    found = foretold(quality, size.terms, WIDTH)
    return (
        f"trained: p={quality.p:.3f}, a={quality.a:.3f}, b={quality.b:.3f}; AUROC by depth "
        f"{by_depth}; foretold for DVTS, n={WIDTH}: {found:.3f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print a line for each strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=40, help="of each seed")
    parser.add_argument("--terms", type=int, default=6, help="of a sum; one step less")
    parser.add_argument("--sizes", default="4,16", help="chains of a search")
    parser.add_argument("--seeds", default="1", help="with commas between them")
    parser.add_argument("--scores", default=f"{ORACLE},{TRAINED},{SHUFFLED}", help="as they are")
    parser.add_argument("--strategies", default=";".join(NAMES), help="with ; between them")
    parser.add_argument("--verifier", type=Path, help="folder: trained there, unless it is there")
    parser.add_argument("--learning", type=int, default=100, help="questions to train on")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--fake", type=float, help="the chance of a right step of a fake model")
    options = parser.parse_args(arguments)
    backend: BackendConfig = VLLM(options.model, max_model_len=512, max_num_seqs=64)
    if options.fake is not None:
        backend = FakeBackend(script=ChainScript(depth=options.terms, p=options.fake))
    size = Size(
        questions=options.questions,
        terms=options.terms,
        sizes=tuple(int(n) for n in options.sizes.split(",")),
        seeds=tuple(int(seed) for seed in options.seeds.split(",")),
        strategies=(NAMES[0], *options.strategies.split(";")),
        learning=options.learning,
    )
    names = options.scores.split(",")
    lines = wait_for(whole_study(backend, size, names, options.verifier))
    print("\n".join(map(sentence, sorted(lines, key=lambda line: (line.n, line.score)))))


def sentence(line: Line) -> str:
    """Say what a strategy is worth, what it costs, and what it wins over whole answers."""
    gain, low, high = (100 * value for value in (line.gain.mean, line.gain.low, line.gain.high))
    return (
        f"n={line.n:<3} {line.score:9} {line.name:14} {line.accuracy.mean:.3f} "
        f"({line.accuracy.low:.2f} to {line.accuracy.high:.2f})  {line.tokens:6.0f} tokens  "
        f"{line.read:6.0f} read  {gain:+.1f} points over the best of n ({low:+.1f} to {high:+.1f})"
    )


if __name__ == "__main__":
    run_command(main)
