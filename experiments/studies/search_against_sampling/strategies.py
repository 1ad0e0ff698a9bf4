"""The strategies that the study compares: searches a line a step, and whole answers."""

from __future__ import annotations

from collections.abc import Mapping

from nbest.orchestrator.protocols import Scorer, Strategy
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.levels import DVTS, Beam, Rebase
from nbest.orchestrator.strategies.search.particles import ParticleFilter
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.revise import Revise
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.strategies.search.steps import Step
from nbest.orchestrator.strategies.search.synthesis import Synthesis
from nbest.scorers.answers.extract import LastNumber
from nbest.scorers.votes.majority import MajorityVote
from nbest.scorers.votes.weighted import WeightedVote

WIDTH = 4
LINE = Step(stop=("\n",), max_tokens=24, final="Answer:")
ROUNDS = 3  # of revision, after the first answer


def strategies_of(
    n: int, terms: int, seed: int, scores: Mapping[str, Scorer]
) -> list[tuple[str, str, Strategy]]:
    """Each strategy with its name and the name of its score.

    The first one draws whole answers, line by line, as all other ones are compared with it.
    """
    found: list[tuple[str, str, Strategy]] = []
    whole = Beam(n=n, width=1)
    plans: Mapping[str, PlanSettings] = {
        "best of n": whole,
        "beam": Beam(n=n, width=WIDTH),
        "DVTS": DVTS(n=n, width=WIDTH),
        "filter": ParticleFilter(n=n, target="step", threshold=0.5),
        "filter, ratio": ParticleFilter(n=n, target="ratio", threshold=0.5),
        "REBASE": Rebase(n=n),
    }
    for score_name, score in scores.items():
        for name, plan in plans.items():
            found.append((name, score_name, searching(plan, score, score, terms, seed)))
        weighted = searching(whole, score, WeightedVote(by=score), terms, seed)
        vote = searching(whole, score, MajorityVote(), terms, seed)
        one = searching(Beam(n=1, width=1), score, score, terms, seed)
        found += [("weighted vote", score_name, weighted), ("vote", score_name, vote)]
        found.append(("one sample", score_name, one))
        found += [
            (name, score_name, strategy)
            for name, strategy in whole_answers(n, terms, score, seed).items()
        ]
    return found


NAMES = (
    *("best of n", "beam", "DVTS", "filter", "filter, ratio", "REBASE"),
    *("weighted vote", "vote", "one sample", "revised", "synthesis"),
)


def searching(plan: PlanSettings, score: Scorer, select: Scorer, terms: int, seed: int) -> Search:
    """Search by this plan, a line a step."""
    return Search(
        plan=plan,
        score=score,
        select=select,
        extract=LastNumber(),
        step=LINE,
        params=SamplingParams(temperature=0.8, max_tokens=24 * (terms + 1)),
        max_steps=terms + 2,
        seed=seed,
    )


def whole_answers(n: int, terms: int, score: Scorer, seed: int) -> dict[str, Strategy]:
    """The strategies that make whole answers of earlier ones: n answers in all."""
    params = SamplingParams(temperature=0.8, max_tokens=24 * (terms + 1), stop=("\n\n",))
    chains = max(1, n // (1 + ROUNDS))
    return {
        "revised": Revise(
            plan=DVTS(n=chains, width=1),
            score=score,
            select=score,
            rounds=ROUNDS,
            extract=LastNumber(),
            params=params,
            seed=seed,
        ),
        "synthesis": Synthesis(
            n=n // 2, k=min(4, n // 2), select=score, extract=LastNumber(), params=params, seed=seed
        ),
    }
