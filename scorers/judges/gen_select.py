"""GenSelect: a model reasons over a window of responses and names the best one.

Toshniwal et al. 2025 (arXiv 2507.17797). Many responses do not fit into one prompt, so windows play
a knockout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nbest.orchestrator.protocols import NamedModel
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Ask, Candidates, Query, Scores
from nbest.scorers.judges.distinct import By, Distinct, distinct
from nbest.scorers.judges.prompt import (
    JudgePrompt,
    ask_each,
    ask_of,
    built,
    judge_prompt,
    require_named,
)
from nbest.scorers.judges.reply import final_choice_of

NAME = "gen_select"


def _reasoning_params() -> SamplingParams:
    return SamplingParams(temperature=0.0, max_tokens=2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenSelect:
    """Scores a candidate by the rounds that it survives in windows of `window` responses.

    The model sees the responses of a window together, reasons, and names the best one in its last
    line; the best of each window meet in the next round. With `rotations` every window is shown
    that often, each time from another response on, and the one that is named most wins, so no place
    in the list decides. A window without a readable reply sends on the response that came most
    often; a response that was in no window with a reply has nan.

    Example: `GenSelect(window=8, rotations=2)`
    """

    needs_logprobs: ClassVar[int | None] = None

    window: int = 8  # responses in one prompt
    rotations: int = 1
    criterion: str = "Compare the responses and find out which one is most likely right."
    by: By = "text"
    reads_reasoning: bool = False  # shows what the model thought before it answered, too
    params: SamplingParams = field(default_factory=_reasoning_params)
    model: NamedModel | None = None  # which model it asks; None: the one that made the candidates

    def __post_init__(self) -> None:
        if self.model is not None:
            require_named(self.model)
        require(self.window >= 2, "window", "be at least 2", self.window)
        rule = f"lie in 1..{self.window}, window"
        require(1 <= self.rotations <= self.window, "rotations", rule, self.rotations)
        require(bool(self.criterion.strip()), "criterion", "hold a text", self.criterion)

    @property
    def asks_model(self) -> bool:
        """Whether it asks the model that made the candidates."""
        return self.model is None

    def num_calls(self, n_distinct: int) -> int:
        """The number of calls that it takes to score `n_distinct` different candidates."""
        calls, entrants = 0, n_distinct
        while entrants > 1:
            sizes = [len(some) for some in windows(range(entrants), self.window)]
            calls += sum(min(self.rotations, size) for size in sizes if size > 1)
            entrants = len(sizes)
        return calls

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        ask = ask_of(candidates, NAME, self.model)
        groups = distinct(candidates, self.by, self.reads_reasoning)
        return groups.spread(await self._rounds(query, groups, ask))

    async def _rounds(self, query: Query, groups: Distinct, ask: Ask) -> Scores:
        """[D] rounds survived; nan without any verdict."""
        survived = np.zeros(len(groups.texts))
        judged = np.full(len(groups.texts), len(groups.texts) == 1)
        alive = list(range(len(groups.texts)))
        while len(alive) > 1:
            playing = windows(alive, self.window)
            alive = []
            for window, named in zip(
                playing, await self._named(query, groups, playing, ask), strict=True
            ):
                judged[list(window)] |= bool(named)
                alive.append(winner(window, named, groups.counts))
            survived[alive] += 1
        return np.where(judged, survived, np.nan)

    async def _named(
        self, query: Query, groups: Distinct, playing: Sequence[Sequence[int]], ask: Ask
    ) -> list[list[int]]:
        """Of each window, the responses that replies name, one a readable reply."""
        shown = [
            (place, tuple(window[turn:]) + tuple(window[:turn]))
            for place, window in enumerate(playing)
            for turn in range(min(self.rotations, len(window)) if len(window) > 1 else 0)
        ]
        characters = sum(len(groups.texts[entrant]) for _, order in shown for entrant in order)
        prompts = await built(
            lambda one: self.prompt_about(query, [groups.texts[i] for i in one[1]]),
            shown,
            characters,
        )
        named: list[list[int]] = [[] for _ in playing]
        replies = await ask_each(ask, NAME, prompts, self.params)
        for (place, order), prompt, reply in zip(shown, prompts, replies, strict=True):
            number = final_choice_of(prompt, reply, len(order))
            if number is not None:
                named[place].append(order[number - 1])
        return named

    def prompt_about(self, query: Query, texts: Sequence[str]) -> JudgePrompt:
        """Build the prompt that shows the responses of a window and asks for the best one."""
        blocks = [(f"Response {number}", text) for number, text in enumerate(texts, 1)]
        task = (
            f"{self.criterion}\nReason first, briefly. Then end with one response in a line of its "
            f"own, named by its number, from 1 to {len(texts)}, as in:\nBest response: X"
        )
        return judge_prompt(query, blocks, task, "Comparison:")


def windows(entrants: Sequence[int], size: int) -> list[list[int]]:
    """The entrants in their order, in as few windows of at most `size` as hold them, of like size.

    Windows of like size: none of them has one entrant who would go on unseen.
    """
    count = -(-len(entrants) // size)
    return [list(map(int, some)) for some in np.array_split(np.asarray(entrants), count)]


def winner(window: Sequence[int], named: Sequence[int], counts: Sequence[int]) -> int:
    """The response that is named most; of several, or of none named, the one that came most.

    `counts` [D] says how often each came; what still ties goes to the one that stands first.
    """
    return max(window, key=lambda entrant: (named.count(entrant), counts[entrant]))
