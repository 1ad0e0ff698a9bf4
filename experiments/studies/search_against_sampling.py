r"""Study: searches over steps against whole answers, at as many tokens, by scores of known quality.

    python -m nbest.experiments.studies.search_against_sampling [--questions 40] [--sizes 4,16]

Sums are done one step a line, so each step can be checked by computing it: that is the oracle. A
shuffled score knows nothing. Every strategy of a seed grows the same tree, so what one has drawn
costs the next nothing; each is charged with all that it uses. `--fake 0.8` answers by a fake model
whose steps are right by that chance, in seconds.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from nbest.experiments.analysis.accuracy import Accuracy, accuracy_of
from nbest.experiments.cli.ending import run_command
from nbest.model_backend.fake.chains import WRONG, ChainScript
from nbest.model_backend.fake.engine import FakeBackend
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.engines.local_engine import LocalEngine
from nbest.orchestrator.protocols import BackendConfig, Scorer
from nbest.orchestrator.run.local import running_pool
from nbest.orchestrator.run.loop import Answered, Loop, one_lease
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.store.run_store import MemoryStore
from nbest.orchestrator.strategies.search.levels import DVTS, Beam, Rebase
from nbest.orchestrator.strategies.search.particles import ParticleFilter
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.strategies.search.steps import Step
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.answers.extract import LastNumber
from nbest.scorers.estimators.paired import Difference, paired_difference
from nbest.scorers.votes.majority import MajorityVote
from nbest.scorers.votes.weighted import WeightedVote

WIDTH = 4
LINE = Step(stop=("\n",), max_tokens=24, final="Answer:")
SHOTS = ((5, 8, 2, 4), (7, 9, 4, 6), (6, 3, 9, 5), (2, 6, 8, 9))
TRUSTED = 0.99  # what the oracle says of right steps: a filter takes scores for chances
ORACLE, SHUFFLED = "oracle", "shuffled"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Checks each line of a sum by computing it; of the fake model, it knows the word."""

    is_pointwise = True
    needs_logprobs = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        right = [is_right_so_far(query, sample.text) for sample in candidates.samples]
        return np.where(right, TRUSTED, 1.0 - TRUSTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled:
    """Knows nothing: any number for each text, always the same one."""

    seed: int
    is_pointwise = True
    needs_logprobs = None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        texts = (f"{self.seed}/{query.id}/{sample.text}" for sample in candidates.samples)
        hashes = (blake2b(text.encode("utf-8", "replace"), digest_size=4) for text in texts)
        numbers = np.array([int.from_bytes(h.digest()) / 2**32 for h in hashes])
        return np.asarray(0.01 + 0.98 * numbers, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one strategy is worth at one size, over all questions and seeds."""

    name: str
    score: str
    n: int
    accuracy: Accuracy
    tokens: float  # generated, a question
    gain: Difference  # over the best of n whole answers by the same score, paired


def is_right_so_far(query: Query, text: str) -> bool:
    """Whether every line that is complete says what a right answer says there."""
    terms = query.meta.get("terms")
    if not isinstance(terms, tuple):
        return WRONG not in text
    wanted = Sum(terms=terms).lines
    said = [re.sub(r"\s+", " ", line).strip() for line in text.split("\n")]
    said = said[:-1] if said and not said[-1] else said
    return len(said) <= len(wanted) and all(a == b for a, b in zip(said, wanted, strict=False))


def questions_of(count: int, terms: int, seed: int, is_fake: bool) -> list[Query]:
    """Sums of so many terms with a digit each, behind a few worked ones."""
    chance = random.Random(seed)
    if is_fake:
        return [Query(id=f"q{seed}-{i}", prompt=f"chain {i}") for i in range(count)]
    worked = "".join(f"Q: {s.text}\n" + "\n".join(s.lines) + "\n\n" for s in map(_sum, SHOTS))
    queries = []
    for i in range(count):
        asked = Sum(terms=tuple(chance.randint(1, 9) for _ in range(terms)))
        prompt = f"{worked}Q: {asked.text}\n"
        queries.append(Query(id=f"q{seed}-{i}", prompt=prompt, meta={"terms": asked.terms}))
    return queries


def _sum(terms: tuple[int, ...]) -> Sum:
    return Sum(terms=terms)


def plans_of(n: int) -> Mapping[str, PlanSettings]:
    """The searches that end with n chains; the first one draws whole answers, line by line."""
    return {
        "best of n": Beam(n=n, width=1),
        "beam": Beam(n=n, width=WIDTH),
        "DVTS": DVTS(n=n, width=WIDTH),
        "filter": ParticleFilter(n=n, target="step", threshold=0.5),
        "REBASE": Rebase(n=n),
    }


async def study(
    backend: BackendConfig, count: int, terms: int, sizes: Sequence[int], seeds: Sequence[int]
) -> list[Line]:
    """Run every strategy at every size, by both scores, on the questions of every seed."""
    worths: dict[tuple[str, str, int], list[Scores]] = {}
    tokens: dict[tuple[str, str, int], list[float]] = {}
    async with running_pool(LocalEngine(backend, "engine0"), backend) as pool:
        for seed in seeds:
            queries = questions_of(count, terms, seed, isinstance(backend, FakeBackend))
            store = MemoryStore()
            for n in sizes:
                for name, score, strategy in strategies_of(n, terms, seed):
                    loop = Loop(strategy=strategy, pool=pool, store=store, run="study", seed=seed)
                    right, spent = await _measured(loop, queries)
                    worths.setdefault((name, score, n), []).append(right)
                    tokens.setdefault((name, score, n), []).append(spent)
                    print(f"seed {seed}, n={n}, {name}, {score}: {right.mean():.3f}", flush=True)
    lines = []
    for key, parts in worths.items():
        name, score, n = key
        right, best = np.concatenate(parts), np.concatenate(worths["best of n", score, n])
        spent = float(np.mean(tokens[key]))
        gain = paired_difference(right, best)
        accuracy = accuracy_of(right)
        lines.append(Line(name=name, score=score, n=n, accuracy=accuracy, tokens=spent, gain=gain))
    return lines


def strategies_of(n: int, terms: int, seed: int) -> list[tuple[str, str, Search]]:
    """Each strategy with its name and the name of its score."""
    params = SamplingParams(temperature=0.8, max_tokens=24 * (terms + 1))

    def search(plan: PlanSettings, score: Scorer, select: Scorer) -> Search:
        return Search(
            plan=plan,
            score=score,
            select=select,
            extract=LastNumber(),
            step=LINE,
            params=params,
            max_steps=terms + 2,
            seed=seed,
        )

    scores: dict[str, Scorer] = {ORACLE: Oracle(), SHUFFLED: Shuffled(seed=seed)}
    found = []
    whole = Beam(n=n, width=1)
    for score_name, score in scores.items():
        found += [(name, score_name, search(p, score, score)) for name, p in plans_of(n).items()]
        weighted = WeightedVote(by=score)
        found.append(("weighted vote", score_name, search(whole, score, weighted)))
        found.append(("vote", score_name, search(whole, score, MajorityVote())))
        found.append(("one sample", score_name, search(Beam(n=1, width=1), score, score)))
    return found


async def _measured(loop: Loop, queries: Sequence[Query]) -> tuple[Scores, float]:
    """[Q] 1 where the chosen chain ends in the right answer; and the tokens of a question."""
    answered: dict[str, Answered] = {}
    await loop.answer_leases(
        one_lease(queries), lambda one: answered.update({one.record.query_id: one})
    )
    records = [answered[query.id].record for query in queries]
    gold = (gold_of(query) for query in queries)
    right = np.array([float(r.answer == g) for r, g in zip(records, gold, strict=True)])
    return right, float(np.mean([record.usage.generated_tokens for record in records]))


def gold_of(query: Query) -> str:
    """The right answer: the sum, or 1 of the fake model."""
    terms = query.meta.get("terms")
    return str(sum(terms)) if isinstance(terms, tuple) else "1"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=40, help="of each seed")
    parser.add_argument("--terms", type=int, default=6, help="of a sum; one step less")
    parser.add_argument("--sizes", default="4,16", help="chains of a search")
    parser.add_argument("--seeds", default="1", help="with commas between them")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--fake", type=float, help="the chance of a right step of a fake model")
    options = parser.parse_args(arguments)
    backend: BackendConfig = VLLM(options.model, max_model_len=512, max_num_seqs=64)
    if options.fake is not None:
        backend = FakeBackend(script=ChainScript(depth=options.terms, p=options.fake))
    sizes = [int(size) for size in options.sizes.split(",")]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    lines = wait_for(study(backend, options.questions, options.terms, sizes, seeds))
    print("\n".join(map(sentence, sorted(lines, key=lambda line: (line.n, line.score)))))


def sentence(line: Line) -> str:
    """Say what a strategy is worth, what it costs, and what it wins over whole answers."""
    gain, low, high = (100 * value for value in (line.gain.mean, line.gain.low, line.gain.high))
    return (
        f"n={line.n:<3} {line.score:9} {line.name:14} {line.accuracy.mean:.3f} "
        f"({line.accuracy.low:.2f} to {line.accuracy.high:.2f})  {line.tokens:6.0f} tokens  "
        f"{gain:+.1f} points over the best of n ({low:+.1f} to {high:+.1f})"
    )


if __name__ == "__main__":
    run_command(main)
