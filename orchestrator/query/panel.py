"""A panel of arms: the N samples of a question, drawn in several ways.

An arm is one way to draw: sampling parameters and, where it has other ones, a prompt and a model.
Sample i belongs to an arm by a pure function of i, so N may grow and no sample changes its arm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import NamedModel
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Message, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to draw samples.

    Example: `Arm(name="cold", params=SamplingParams(temperature=0.3))`
    """

    name: str
    params: SamplingParams | None = None  # None: those of the strategy
    weight: int = 1  # samples of it for each that an arm of weight 1 gets
    prompt: str = ""  # the variant of the query's prompt; empty: the prompt itself
    model: NamedModel | None = None  # None: the run's own

    def __post_init__(self) -> None:
        require(bool(self.name), "arm", "have a name", self.name)
        require(self.weight >= 1, "weight", "be at least 1", self.weight)

    def params_for(self, wanted: SamplingParams) -> SamplingParams:
        """The parameters of the arm, with the log-probabilities and the floor that are wanted."""
        if self.params is None:
            return wanted
        params = self.params.with_logprobs(wanted.logprobs)
        texts = params.token_texts or wanted.token_texts
        return replace(params, token_texts=texts, floor=wanted.floor)

    def prompt_for(self, query: Query) -> str | tuple[Message, ...]:
        """The prompt of a query in the words of the arm."""
        if not self.prompt:
            return query.prompt
        if self.prompt not in query.variants:
            raise InputError(
                f"query {query.id!r} must have a variant {self.prompt!r} of its prompt"
            )
        return query.variants[self.prompt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The arms that take turns over the samples of each question, or come one after the other.

    Example: `Panel(arms=(Arm(name="cold", params=cold), Arm(name="hot", params=hot, weight=2)))`
    """

    arms: tuple[Arm, ...]
    stages: tuple[int, ...] = ()  # samples of each arm before the next one; empty: they take turns
    turns: tuple[int, ...] = field(init=False, repr=False)  # [W] of one round, by place of the arm

    def __post_init__(self) -> None:
        require(bool(self.arms), "arms", "be at least one", self.arms)
        names = [arm.name for arm in self.arms]
        require(len(set(names)) == len(names), "arms", "have different names", names)
        models = {arm.model.name: arm.model.key for arm in self.arms if arm.model is not None}
        for name, key in models.items():
            twins = [other for other in models if models[other] == key and other != name]
            require(not twins, f"model {name!r}", "differ from all others in what it says", twins)
        object.__setattr__(self, "turns", self._turns())

    def _turns(self) -> tuple[int, ...]:
        weights = [arm.weight for arm in self.arms]
        if not self.stages:
            return turns_of(tuple(weight // math.gcd(*weights) for weight in weights))
        rule = f"be {len(self.arms)}, one an arm, each at least 1"
        is_each = len(self.stages) == len(self.arms) and min(self.stages) >= 1
        require(is_each, "stages", rule, self.stages)
        require(set(weights) == {1}, "weight", "be left out where arms have stages", max(weights))
        return tuple(arm for arm, n in enumerate(self.stages) for _ in range(n))

    @property
    def models(self) -> dict[str, NamedModel]:
        """The models of arms that have one of their own, by key."""
        named = (arm.model for arm in self.arms)
        return {model.key: model for model in named if model is not None}

    def arm_of(self, index: int) -> Arm:
        """The arm of sample `index`; the last stage never ends."""
        turn = min(index, len(self.turns) - 1) if self.stages else index % len(self.turns)
        return self.arms[self.turns[turn]]

    @property
    def turns_by_name(self) -> tuple[str, ...]:
        """The arms of one round, by name; of the last stage, which may grow, the first sample."""
        count = sum(self.stages[:-1]) + 1 if self.stages else len(self.turns)
        return self.arms_of(count)

    def params_of(self, index: int, wanted: SamplingParams) -> SamplingParams:
        """The parameters of sample `index`, with log-probabilities as all of the arms have them.

        A selector that reads them would see some arms alone.
        """
        params = self.arm_of(index).params_for(wanted)
        kept = (arm.params.logprobs for arm in self.arms if arm.params is not None)
        return params.with_logprobs(*kept)

    @property
    def round_size(self) -> int:
        """W, the number of turns after which the arms begin anew."""
        return len(self.turns)

    def arms_of(self, count: int) -> tuple[str, ...]:
        """[N] the names of the arms of the first `count` samples."""
        return tuple(self.arm_of(i).name for i in range(count))


def turns_of(weights: Sequence[int]) -> tuple[int, ...]:
    """[W] one round of turns, W the sum of the weights: which arm draws at each place.

    At every place, each arm has had its share of the turns so far to within less than one: the
    quota method of Still (1979), by earliest deadline. Rounds follow each other for ever.
    """
    total = sum(weights)
    counts = [0] * len(weights)
    turns = []
    for place in range(1, total + 1):
        # One more turn must not put an arm above its quota, place * weight / total, rounded up.
        able = [a for a, w in enumerate(weights) if counts[a] * total < place * w]
        arm = min(able, key=lambda a: ((counts[a] + 1) / weights[a], a))
        counts[arm] += 1
        turns.append(arm)
    return tuple(turns)
