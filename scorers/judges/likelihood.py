"""The log-probability of each candidate under another model: a verifier that needs no training.

A model that finds a wrong response likely is rare: how likely a larger model finds a text that a
smaller one wrote ranks candidates, without a question to it and without a reply to read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import NamedModel, require_rates
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query, Scores, Status
from nbest.scorers.judges.distinct import distinct
from nbest.scorers.judges.prompt import require_named
from nbest.scorers.judges.reward import rewards_of

Of = Literal["mean", "sum", "least"]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Scores a candidate by the log-probabilities of its tokens under another model, in nats.

    The model reads the question in its own chat template, and the text of the candidate after it as
    the assistant's turn. It generates nothing, and what ends the turn is not rated. `of` makes one
    number of those of the tokens: `mean`, `sum`, or `least`, that of the least likely token.

    A text that occurs several times is read once. A candidate gets nan where the model fails, where
    the text is too long for it, and where it is empty.

    Example: `Likelihood(NamedModel(name="large", settings=VLLM("Qwen/Qwen3-8B")), of="least")`
    """

    needs_logprobs: ClassVar[int | None] = None
    is_pointwise: ClassVar[bool] = True
    score_bounds: ClassVar[tuple[float, float]] = (-math.inf, 0.0)

    model: NamedModel
    _: KW_ONLY
    of: Of = "mean"
    reads_reasoning: bool = False  # rates what the model thought before it answered, too

    def __post_init__(self) -> None:
        require_named(self.model)
        require_rates(self.model.settings, "log-probabilities", "likelihood")
        require(self.of in _OF, "of", f"be one of {', '.join(_OF)}", self.of)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if candidates.rate is None:
            raise InputError("likelihood needs its model: use it in `nbest run`")
        groups = distinct(candidates, "text", self.reads_reasoning)
        replies = await candidates.rate(self.model.settings.identity, groups.texts)
        is_whole = [reply.status is not Status.TRUNCATED for reply in replies]
        logprobs_DT = [rewards_of(reply) for reply in replies]
        pairs = zip(logprobs_DT, is_whole, strict=True)
        return groups.spread(
            np.array([_OF[self.of](t) if t and whole else math.nan for t, whole in pairs])
        )


def _mean(logprobs: tuple[float, ...]) -> float:
    return math.fsum(logprobs) / len(logprobs)


_OF: dict[Of, Callable[[tuple[float, ...]], float]] = {
    "mean": _mean,
    "sum": math.fsum,
    "least": min,
}
