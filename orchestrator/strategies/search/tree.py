"""The tree of one question: steps that plans ask for are drawn, rated and joined to chains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from nbest.orchestrator.protocols import NodeSampler, Scorer
from nbest.orchestrator.query.selection import score_candidates, with_calls
from nbest.orchestrator.reasoning import with_thought_apart
from nbest.orchestrator.strategies.search.grow import grow
from nbest.orchestrator.strategies.search.grown import GrownNode
from nbest.orchestrator.strategies.search.plan import Node, Plan
from nbest.orchestrator.strategies.search.steps import Chain, StepRules
from nbest.orchestrator.tasks import Once
from nbest.orchestrator.types import Candidates, Path, Query, Sample, Status

ABORTED = Node(score=math.nan, has_ended=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the trees of a search grow: their steps, and what rates them."""

    rules: StepRules
    greedy: StepRules  # of the steps that are looked ahead
    score: Scorer
    lookahead: int = 0  # steps that are drawn greedily after a step, and rated with it


class Tree:
    """The tree of one question."""

    def __init__(self, query: Query, sampler: NodeSampler, growth: Growth) -> None:
        self._query = query
        self._sampler = sampler
        self._growth = growth
        self._chains: dict[Path, Chain] = {(): Chain()}
        # By what scorers may read, texts and log-probabilities: chains that are alike in both are
        # rated once, and it does not matter which of them comes first.
        self._scores = Once[object, float]()
        self._tokens: dict[str, int] = {}  # generated, by the id of the step
        self._under_way: dict[Path, Path] = {}  # what is being drawn for a node: it, or its future
        self._aborted: set[Path] = set()
        self._rated: dict[Path, float] = {}

    async def grow(self, plans: Sequence[Plan]) -> None:
        """Grow what the plans ask for until they want no more."""
        await grow(plans, self._node, self._abort)

    def chains_at(self, paths: Sequence[Path]) -> tuple[Sample, ...]:
        """The chains that end at these nodes, as samples; thoughts are parted from answers."""
        return tuple(self._whole(self._chains[path]) for path in paths)

    def steps_at(self, paths: Sequence[Path]) -> tuple[tuple[str, ...], ...]:
        """What the steps of each of these chains say."""
        return tuple(tuple(step.text for step in self._chains[path].steps) for path in paths)

    def nodes(self) -> tuple[GrownNode, ...]:
        """All nodes that have been drawn, by path; steps that were only looked ahead are none."""
        return tuple(
            GrownNode(
                path=path,
                text=chain.steps[-1].text,
                score=self._rated.get(path, math.nan),
                tokens=chain.steps[-1].generated_tokens,
                has_ended=not self._growth.rules.goes_on(chain),
            )
            for path, chain in sorted(self._chains.items())
            if path
        )

    def tokens_beside(self, paths: Sequence[Path]) -> int:
        """The tokens of all steps on none of the chains that end at these nodes."""
        kept = {step.id for path in paths for step in self._chains[path].steps}
        return sum(tokens for step, tokens in self._tokens.items() if step not in kept)

    def _whole(self, chain: Chain) -> Sample:
        return with_thought_apart(self._growth.rules.whole(chain))

    async def _node(self, path: Path) -> Node:
        """Draw the step at a path, and rate the answer up to there."""
        if path in self._aborted:
            return ABORTED
        rules = self._growth.rules
        chain = await self._drawn(path, self._chains[path[:-1]], path[-1], rules)
        self._chains[path] = chain
        last = chain.steps[-1]
        has_ended = not rules.goes_on(chain)
        if last.status not in (Status.OK, Status.TRUNCATED):
            return Node(score=math.nan, has_ended=True, text=last.text)
        seen = chain if has_ended else await self._ahead_of(path, chain)
        if path in self._aborted:
            return ABORTED
        self._rated[path] = await self._score(seen)
        return Node(score=self._rated[path], has_ended=has_ended, text=last.text)

    async def _drawn(self, node: Path, parent: Chain, child: int, rules: StepRules) -> Chain:
        """Draw the step `child` after a chain, for the sake of a node."""
        path = (*parent.path, child)
        self._under_way[node] = path
        sample = await self._sampler.step(path, parent.prefix, rules.params_after(parent))
        del self._under_way[node]
        self._tokens[sample.id] = sample.generated_tokens
        return parent.with_step(child, sample)

    async def _ahead_of(self, node: Path, chain: Chain) -> Chain:
        """The chain with the steps that the model would most likely take next."""
        for _ in range(self._growth.lookahead):
            if node in self._aborted or not self._growth.rules.goes_on(chain):
                break
            chain = await self._drawn(node, chain, 0, self._growth.greedy)
        return chain

    async def _score(self, chain: Chain) -> float:
        """Rate what a chain says so far, unless one like it has been or is being rated."""
        is_open = self._growth.rules.goes_on(chain)
        sample = chain.joined() if is_open else self._whole(chain)
        key = (sample.text, sample.token_ids, sample.logprobs, sample.top_logprobs)
        rated = replace(sample, status=Status.OK)
        return await self._scores.get(key, partial(self._rate, rated))

    async def _rate(self, sample: Sample) -> float:
        candidates = Candidates(samples=(sample,), answers=(sample.text,))
        scored = with_calls(candidates, self._sampler)
        return float((await score_candidates(self._query, scored, self._growth.score))[0])

    async def _abort(self, path: Path) -> None:
        """End a node that is under way: the step that is being drawn for it, and all that waits."""
        self._aborted.add(path)
        if (step := self._under_way.get(path)) is not None:
            await self._sampler.abort_node(step)
