"""A model gives each candidate a score: pointwise judging (Zheng et al. 2023, arXiv 2306.05685).

The judge is the model that made the candidates, or another model of the run. It is asked once about
each different text, at temperature 0 by default. Its replies are read strictly: one that states no
score gives none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from nbest.orchestrator.protocols import NamedModel
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.judges.distinct import By, distinct
from nbest.scorers.judges.prompt import (
    JudgePrompt,
    ask_each,
    ask_of,
    built,
    judge_prompt,
    require_named,
)
from nbest.scorers.judges.reply import score_of

NAME = "judge"


def judging_params() -> SamplingParams:
    """Greedy and short, with the likeliest tokens as text."""
    return SamplingParams(temperature=0.0, max_tokens=16, logprobs=20, token_texts=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Scores a candidate as the judge does, from 1 to `scale`; nan where the judge says nothing.

    With `logprobs` and `token_texts` in `params` the score is the expectation over the score tokens
    (G-Eval, Liu et al. 2023, arXiv 2303.16634, equation 1) for scales up to 9, so ties are rare;
    without, and for larger scales, the number in the reply. With `repeats` it is the mean of the
    calls that could be read; they differ by their seeds, so they need a temperature.

    `by="answer"` shows one text of each different answer and scores all that give it alike.

    Example: `Judge(criterion="Is every step of the response right?", scale=7)`
    """

    needs_logprobs: ClassVar[int | None] = None

    criterion: str = "Is the response a right and complete answer to the question?"
    scale: int = 5
    repeats: int = 1
    by: By = "text"
    reads_reasoning: bool = False  # shows what the model thought before it answered, too
    params: SamplingParams = field(default_factory=judging_params)
    model: NamedModel | None = None  # which model it asks; None: the one that made the candidates

    def __post_init__(self) -> None:
        if self.model is not None:
            require_named(self.model)
        require(bool(self.criterion.strip()), "criterion", "hold a text", self.criterion)
        require(2 <= self.scale <= 100, "scale", "lie in 2..100", self.scale)
        require(self.repeats >= 1, "repeats", "be at least 1", self.repeats)
        may_differ = self.repeats == 1 or self.params.temperature > 0
        rule = "be 1 at params.temperature 0, where all calls say the same"
        require(may_differ, "repeats", rule, self.repeats)

    def num_calls(self, n_distinct: int) -> int:
        """The number of calls that it takes to score `n_distinct` different candidates."""
        return n_distinct * self.repeats

    @property
    def asks_model(self) -> bool:
        """Whether it asks the model that made the candidates."""
        return self.model is None

    @property
    def is_pointwise(self) -> bool:
        """False by answer, where one text stands for others."""
        return self.by == "text"

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        ask = ask_of(candidates, NAME, self.model)
        groups = distinct(candidates, self.by, self.reads_reasoning)
        prompts = await built(partial(self.prompt_about, query), groups.texts, groups.characters)
        rounds: list[list[float]] = []
        for repeat in range(self.repeats):
            name = NAME if repeat == 0 else f"{NAME}{repeat + 1}"
            replies = await ask_each(ask, name, prompts, self.params)
            pairs = zip(prompts, replies, strict=True)
            rounds.append([score_of(prompt, reply, self.scale) for prompt, reply in pairs])
        scores = [mean_of_readable(repeated) for repeated in zip(*rounds, strict=True)]
        return groups.spread(np.array(scores, np.float64))

    def prompt_about(self, query: Query, text: str) -> JudgePrompt:
        """The prompt that asks for the score of one text."""
        task = (
            f"{self.criterion}\nRate the response on a scale from 1 (worst) to {self.scale} (best)."
            " Reply with the number alone."
        )
        return judge_prompt(query, [("Response", text)], task, "Score:")


def mean_of_readable(values: Sequence[float]) -> float:
    """The mean of the values that are not nan; nan if there are none."""
    readable = [value for value in values if not math.isnan(value)]
    return math.fsum(readable) / len(readable) if readable else math.nan
