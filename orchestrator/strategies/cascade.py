"""A cascade: few or cheap samples first, and more or better ones where they are not sure enough.

A small model answers what it is sure of, a larger one the rest (FrugalGPT: Chen et al. 2023, arXiv
2305.05176; by the agreement of samples: Yue et al. 2024, arXiv 2310.03094).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from nbest.orchestrator.protocols import ModelCalls, Sampler
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.query.fanout import draw
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Query, Sample, Selection, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Samples that are drawn together, and how sure their answer must be to stand.

    Example: `Stage(n=16, min_confidence=0.7)`
    """

    n: int
    min_confidence: float | None = None  # share of answers that agree; None: of the last stage

    def __post_init__(self) -> None:
        require(self.n >= 1, "n", "be at least 1", self.n)
        share = self.min_confidence
        require(share is None or 0 < share <= 1, "min_confidence", "lie in (0, 1]", share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade(Choice):
    """Draw stage after stage until an answer is sure enough, and choose among all that was drawn.

    With `Panel(arms=..., stages=...)` each stage has an arm of its own, so another model. A scorer
    such as `WeightedVote(by=ArmWeight(...))` says how much the votes of each stage count. A stage
    in which a sample failed is never sure: its threshold was fitted on more votes than it has.

    Example: `Cascade(stages=(Stage(n=16, min_confidence=0.7), Stage(n=8)), select=MajorityVote())`
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require(bool(self.stages), "stages", "be at least one", self.stages)
        *earlier, last = self.stages
        is_each = all(stage.min_confidence is not None for stage in earlier)
        rule = "have a min_confidence each but for the last, whose answer stands"
        require(is_each and last.min_confidence is None, "stages", rule, self.stages)

    @property
    def max_n(self) -> int:
        """The samples of all stages."""
        return sum(stage.n for stage in self.stages)

    async def __call__(self, query: Query, sampler: Sampler) -> Selection:
        caching = self.caching()
        samples: tuple[Sample, ...] = ()
        for stage in self.stages:
            indices = range(len(samples), len(samples) + stage.n)
            samples = (*samples, *await draw(sampler, indices, self.sampling()))
            selection = await caching.of(query, samples, sampler)
            if is_sure(stage, selection):
                break
        return selection

    async def is_enough(self, query: Query, samples: Sequence[Sample], calls: ModelCalls) -> bool:
        """Whether a stage ends with these samples, in the order of their indices, and is sure."""
        ends = dict(zip(accumulate(stage.n for stage in self.stages), self.stages, strict=True))
        stage = ends.get(len(samples))
        return stage is not None and is_sure(stage, await self.of(query, samples, calls))


def is_sure(stage: Stage, selection: Selection) -> bool:
    """Whether the answer is so sure that no further stage is drawn; never where there is none."""
    if stage.min_confidence is None:
        return False
    if any(sample.status is Status.ERROR for sample in selection.samples):
        return False
    return selection.answer is not None and selection.confidence >= stage.min_confidence
