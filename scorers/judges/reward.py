"""A reward model scores each candidate: the verifier of Cobbe et al. 2021 (arXiv 2110.14168).

Outcome models rate a whole response with one number, process models each of its steps. Which model
it is, and how it is served, are settings that the scorer only hands on: the run starts the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig, require_rates
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Sample, Scores, Status
from nbest.scorers.judges.distinct import By, distinct

Aggregate = Literal["last", "min", "product", "mean"]
Scale = Literal["raw", "sigmoid"]


@dataclass(frozen=True, slots=True)
class RewardModel:
    """Scores a candidate by the reward of its text.

    `aggregate` makes one number of those of the steps (Lightman et al. 2023, arXiv 2305.20050,
    appendix F; Uesato et al. 2022): `last`, `min`, `product` or `mean`. An outcome model gives one
    number, which each of them leaves as it is. `product` is for steps that are probabilities.

    `scale="sigmoid"` makes a probability of each raw number, as weighted votes want it.

    A text that occurs several times is rated once. A candidate gets nan where the model fails or
    gives no number; where its engine refuses a text, the query ends in an error if there is no
    other answer.

    Example: `RewardModel(VLLMReward("Skywork/Skywork-Reward-V2-Qwen3-0.6B"))`
    """

    needs_logprobs: ClassVar[int | None] = None

    model: BackendConfig
    _: KW_ONLY
    aggregate: Aggregate = "last"
    scale: Scale = "raw"
    by: By = "text"
    reads_reasoning: bool = False  # shows what the model thought before it answered, too

    def __post_init__(self) -> None:
        rule = f"be one of {', '.join(_AGGREGATES)}"
        require(self.aggregate in _AGGREGATES, "aggregate", rule, self.aggregate)
        require_rates(self.model, "rewards", "reward")
        require(self.scale in ("raw", "sigmoid"), "scale", "be raw or sigmoid", self.scale)

    @property
    def is_pointwise(self) -> bool:
        """False by answer, where one text stands for others."""
        return self.by == "text"

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if candidates.rate is None:
            raise InputError("reward needs its model: use it in `nbest run` or `nbest ask`")
        groups = distinct(candidates, self.by, self.reads_reasoning)
        replies = await candidates.rate(self.model.identity, groups.texts)
        return groups.spread(np.array([self._score(reply) for reply in replies], np.float64))

    def _score(self, reply: Sample) -> float:
        steps = rewards_of(reply)
        if not steps:
            return math.nan
        if self.scale == "sigmoid":
            steps = tuple(sigmoid(step) for step in steps)
        return _AGGREGATES[self.aggregate](steps)


def rewards_of(reply: Sample) -> tuple[float, ...]:
    """[S] the numbers in the reply of a reward model; empty where it has failed.

    Empty, too, where one of them is not finite: no step can stand for another.
    """
    if reply.status not in (Status.OK, Status.TRUNCATED):
        return ()
    try:
        value = json.loads(reply.text)
    except ValueError:
        return ()
    numbers = value if isinstance(value, list) else [value]
    is_number = [isinstance(n, int | float) and not isinstance(n, bool) for n in numbers]
    if not all(is_number) or not all(map(math.isfinite, numbers)):
        return ()
    return tuple(map(float, numbers))


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)), without overflow on either side."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    power = math.exp(value)
    return power / (1.0 + power)


def _mean(steps: Sequence[float]) -> float:
    return math.fsum(steps) / len(steps)


_AGGREGATES: Mapping[Aggregate, Callable[[Sequence[float]], float]] = {
    "last": lambda steps: steps[-1],
    "min": min,
    "product": math.prod,
    "mean": _mean,
}
