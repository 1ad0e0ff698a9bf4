"""Revision: whole answers that are made of earlier ones, on the machine of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nbest.orchestrator.protocols import Explains, NodeSampler, Scorer, Validator
from nbest.orchestrator.query.choice import Choice, sampling_for
from nbest.orchestrator.query.parts import require_part, result_of
from nbest.orchestrator.query.selection import read_answers, score_candidates, with_calls
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.grow import grow
from nbest.orchestrator.strategies.search.grown import Grown, TreeStrategy
from nbest.orchestrator.strategies.search.levels import DVTS
from nbest.orchestrator.strategies.search.particles import require_chances
from nbest.orchestrator.strategies.search.plan import Node, PlanSettings
from nbest.orchestrator.strategies.search.tree import ABORTED
from nbest.orchestrator.types import Message, Path, Prompt, Query, Sample, Status

REVISE = "Look at your answer again. If anything in it is wrong, correct it. Give the whole answer."
CRITICISE = "What is wrong with this answer, if anything? Be brief, and do not answer it anew."
BROKEN = "It does not keep the rule that it has to keep."


@dataclass(frozen=True, slots=True, kw_only=True)
class Revise(TreeStrategy):
    """Answer, and answer again with the last answer in view; choose among all rounds.

    `plan` says which answer is revised next: `DVTS(n=4, width=1)` revises four answers apart from
    each other (Self-Refine: Madaan et al. 2023, arXiv 2303.17651), a beam keeps the best of each
    round, `AdaptiveBranching` goes wide or deep by what has paid (AB-MCTS). The first answers are
    the samples of the question. A model that revises unprompted makes wrong ones of right ones as
    well, so it is the selector that says which round to believe.

    Example: `Revise(plan=DVTS(n=4, width=1), rounds=2, score=judge, select=judge)`
    """

    plan: PlanSettings = field(default_factory=lambda: DVTS(n=1, width=1))
    score: Scorer | None = None  # rates each answer for the plan; None: nothing does
    rounds: int = 3  # of revision, after the first answer
    words: str = REVISE  # said to the model after its answer
    critique: str = ""  # asked before that, and what it says is added, as `CRITICISE`; empty: not
    rule: Validator | None = None  # an answer that keeps it is not revised
    seed: int = 0  # of what a plan draws at random

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        if self.score is not None:
            require_part("score", self.score, "needs_logprobs")
        require_chances(self.plan, self.score)
        require(self.rounds >= 1, "rounds", "be at least 1", self.rounds)
        if self.rule is not None:
            require_part("rule", self.rule)

    @property
    def n(self) -> int:
        """The number of answers that its plan is made for."""
        return self.plan.n

    def sampling(self) -> SamplingParams:
        """The parameters of an answer, with the log-probabilities that both scorers need."""
        chosen_by = sampling_for(self.select, self.params)
        return chosen_by if self.score is None else sampling_for(self.score, chosen_by)

    async def grown(self, query: Query, sampler: NodeSampler) -> Grown:
        """Draw the answers of all rounds."""
        answers = _Answers(self, query, sampler)
        plans = self.plan.plans(f"{self.seed}/{query.id}")
        return answers.grown(await grow(plans, answers.node, answers.abort))


class _Answers:
    """The answers of one question, by path."""

    def __init__(self, settings: Revise, query: Query, sampler: NodeSampler) -> None:
        self._settings = settings
        self._query = query
        self._sampler = sampler
        self._samples: dict[Path, Sample] = {}
        self._weights: dict[Path, float] = {}
        self._critique_tokens: list[int] = []
        self._aborted: set[Path] = set()

    def grown(self, paths: Sequence[Path]) -> Grown:
        """The answers at these paths; critiques, and answers that came too late, are pruned."""
        chains = tuple(self._samples[path] for path in paths)
        kept = sum(sample.generated_tokens for sample in chains)
        drawn = sum(sample.generated_tokens for sample in self._samples.values())
        tokens = drawn + sum(self._critique_tokens)
        return Grown(
            chains=chains,
            weights=np.array([self._weights.get(path, math.nan) for path in paths], np.float64),
            tokens=tokens,
            pruned_tokens=tokens - kept,
        )

    async def node(self, path: Path) -> Node:
        """Draw the answer at a path, and rate it."""
        if path in self._aborted:
            return ABORTED
        words = await self._words(path)
        if path in self._aborted:
            return ABORTED
        sample = self._samples[path] = await self._drawn(path, words)
        if sample.status is not Status.OK:
            has_failed = sample.status in (Status.ERROR, Status.CANCELLED)
            is_last = has_failed or len(path) > self._settings.rounds
            return Node(score=math.nan, has_ended=is_last, text=sample.text)
        is_last = len(path) > self._settings.rounds or await self._keeps_rule(sample)
        self._weights[path] = await self._score(sample)
        return Node(score=self._weights[path], has_ended=is_last, text=sample.text)

    async def abort(self, path: Path) -> None:
        """End an answer that is under way."""
        self._aborted.add(path)
        await (self._sampler.abort(path[0]) if len(path) == 1 else self._sampler.abort_node(path))

    async def _words(self, path: Path) -> str:
        """What is said after the answer that a revision is made of."""
        if len(path) == 1:
            return ""
        before = self._samples[path[:-1]]
        said = await self._critique(path, before) if self._settings.critique else ""
        broken = await self._broken(before)
        return " ".join(filter(None, (broken, said, self._settings.words)))

    async def _drawn(self, path: Path, words: str) -> Sample:
        params = self._settings.sampling()
        if len(path) == 1:
            return await self._sampler(path[0], params)
        prompt = after(self._query.prompt, self._samples[path[:-1]], words)
        return await self._sampler.revise(path, prompt, params)

    async def _critique(self, path: Path, before: Sample) -> str:
        """What the model finds wrong with an answer: a node beside the revision, by its prompt."""
        prompt = after(self._query.prompt, before, self._settings.critique)
        said = await self._sampler.revise(
            path, prompt, replace(self._settings.params, logprobs=None)
        )
        self._critique_tokens.append(said.generated_tokens)
        return said.text.strip() if said.status in (Status.OK, Status.TRUNCATED) else ""

    async def _broken(self, before: Sample) -> str:
        """What is said of the rule that an answer breaks: why, where the rule can say."""
        rule = self._settings.rule
        if rule is None or before.status is not Status.OK:
            return ""
        reasons = await rule.why(self._query, before.text) if isinstance(rule, Explains) else ()
        return "\n".join((BROKEN, *reasons, "")) if reasons else BROKEN

    async def _keeps_rule(self, sample: Sample) -> bool:
        if self._settings.rule is None:
            return False
        read = read_answers([sample], self._settings.extract)
        verdict = await result_of("rule", self._settings.rule, self._query, read)
        return bool(verdict[0])

    async def _score(self, sample: Sample) -> float:
        if self._settings.score is None:
            return math.nan
        read = with_calls(read_answers([sample], self._settings.extract), self._sampler)
        return float((await score_candidates(self._query, read, self._settings.score))[0])


def after(prompt: Prompt, answer: Sample, words: str) -> Prompt:
    """The prompt of what is said after an answer: a turn more of a chat, a paragraph of a text."""
    if isinstance(prompt, str):
        return f"{prompt}{answer.text}\n\n{words}\n\n"
    said = Message(role="assistant", content=answer.text)
    return (*prompt, said, Message(role="user", content=words))
