"""Universal self-consistency: a model says which response most of the others agree with.

Chen et al. 2023 (arXiv 2311.17311). For free text, where no two answers are the same and there is
nothing to count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from nbest.orchestrator.protocols import NamedModel
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.judges.distinct import Distinct, distinct
from nbest.scorers.judges.prompt import (
    JudgePrompt,
    ask_each,
    ask_of,
    built,
    judge_prompt,
    require_named,
)
from nbest.scorers.judges.reply import choice_of
from nbest.scorers.votes.majority import vote_shares

NAME = "universal_vote"


def _choosing_params() -> SamplingParams:
    return SamplingParams(temperature=0.0, max_tokens=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniversalVote:
    """Scores a candidate by the vote share of its answer, and 1 more if the model names its text.

    The model sees each different text once, with how often it came, in an order that a hash of the
    texts decides. Where the call fails or the reply names none of them, the plain vote remains, as
    in the authors' code.

    Example: `UniversalVote(criterion="Which summary do most of the others agree with?")`
    """

    needs_logprobs: ClassVar[int | None] = None

    criterion: str = "Select the most consistent response, based on majority consensus."
    params: SamplingParams = field(default_factory=_choosing_params)
    model: NamedModel | None = None  # which model it asks; None: the one that made the candidates

    def __post_init__(self) -> None:
        if self.model is not None:
            require_named(self.model)
        require(bool(self.criterion.strip()), "criterion", "hold a text", self.criterion)

    @property
    def asks_model(self) -> bool:
        """Whether it asks the model that made the candidates."""
        return self.model is None

    def num_calls(self, n_distinct: int) -> int:
        """The number of calls that it takes to score `n_distinct` different candidates."""
        return int(n_distinct > 1)

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        ask = ask_of(candidates, NAME, self.model)
        groups = distinct(candidates)
        scores = vote_shares(candidates.answers)
        if self.num_calls(len(groups.texts)) == 0:
            return scores
        (prompt,) = await built(partial(self.prompt_about, query), [groups], groups.characters)
        (reply,) = await ask_each(ask, NAME, [prompt], self.params)
        number = choice_of(prompt, reply, len(groups.texts))
        for i, place in enumerate(groups.places):
            if number is not None and place == number - 1:
                scores[i] += 1.0
        return scores

    def prompt_about(self, query: Query, groups: Distinct) -> JudgePrompt:
        """The prompt that lists all texts and asks for one of them."""
        blocks = [
            (f"Response {k}" + (f" (given {count} times)" if count > 1 else ""), text)
            for k, (text, count) in enumerate(zip(groups.texts, groups.counts, strict=True), 1)
        ]
        task = (
            f"{self.criterion}\nReply with its number alone, from 1 to {len(groups.texts)}, as in: "
            "The most consistent response is Response X."
        )
        return judge_prompt(query, blocks, task, "The most consistent response is Response")
