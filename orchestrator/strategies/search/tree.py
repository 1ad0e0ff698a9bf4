"""The tree of one question: steps that plans ask for are drawn, rated and joined to chains."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nbest.orchestrator.protocols import NodeSampler, Sampler, Scorer
from nbest.orchestrator.query.selection import score_candidates, with_calls
from nbest.orchestrator.reasoning import with_thought_apart
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.grow import grow
from nbest.orchestrator.strategies.search.plan import Node, Plan
from nbest.orchestrator.types import Candidates, Path, Prefix, Query, Sample, Status, TopLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a step of an answer ends.

    Example: `Step(stop=("\\n",), max_tokens=60)`
    """

    stop: tuple[str, ...] = ("\n\n",)  # the text of the step keeps it
    stop_token_ids: tuple[int, ...] = ()
    max_tokens: int = 256  # a step that is as long goes on in the next one
    final: str = ""  # a step with this text in it is the last one; empty: only the model ends

    def __post_init__(self) -> None:
        has_any = bool(self.stop or self.stop_token_ids)
        require(has_any, "step.stop", "be given, or stop_token_ids", self.stop)
        require(self.max_tokens >= 1, "step.max_tokens", "be at least 1", self.max_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The steps from the root to a node."""

    path: Path = ()
    steps: tuple[Sample, ...] = ()

    @property
    def prefix(self) -> Prefix:
        """All token ids that were generated on the way, in their order."""
        return tuple(token for step in self.steps for token in step.token_ids)

    @property
    def num_tokens(self) -> int:
        """The tokens that were generated on the way."""
        return sum(step.generated_tokens for step in self.steps)

    def with_step(self, child: int, step: Sample) -> Chain:
        """The chain with one step more."""
        return Chain(path=(*self.path, child), steps=(*self.steps, step))

    def joined(self) -> Sample:
        """The chain as one sample: what it says, and what its steps cost together."""
        first, last = self.steps[0], self.steps[-1]
        return replace(
            last,
            text="".join(step.text for step in self.steps),
            token_ids=tuple(token for step in self.steps for token in step.token_ids),
            logprobs=_joined_logprobs(self.steps),
            top_logprobs=_joined_top(self.steps),
            prompt_tokens=first.prompt_tokens,
            cached_tokens=first.cached_tokens,
            generated_tokens=self.num_tokens,
            first_token_s=first.first_token_s,
            total_s=sum(step.total_s for step in self.steps),
        )


def _joined_logprobs(steps: Sequence[Sample]) -> tuple[float, ...] | None:
    parts = [step.logprobs for step in steps if step.logprobs is not None]
    return tuple(value for part in parts for value in part) if len(parts) == len(steps) else None


def _joined_top(steps: Sequence[Sample]) -> TopLogprobs | None:
    tops = [step.top_logprobs for step in steps if step.top_logprobs is not None]
    if not tops or len(tops) < len(steps):
        return None
    packed = array("f")
    for top in tops:
        packed.frombytes(top.packed)
    texts = tuple(text for top in tops for text in top.texts)
    return TopLogprobs(k=tops[0].k, packed=packed.tobytes(), texts=texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the trees of a search grow: their steps, and what rates them."""

    params: SamplingParams  # of a whole answer: max_tokens are those of a chain
    step: Step
    max_steps: int  # the last one has no stop: it goes to the end of the text
    score: Scorer
    lookahead: int = 0  # steps that are drawn greedily after a step, and rated with it

    @property
    def ends(self) -> frozenset[str]:
        """What ends a step, as `Sample.stop` has it; what ends an answer does not."""
        ends = {*self.step.stop, *map(str, self.step.stop_token_ids)}
        return frozenset(ends) - {*self.params.stop, *map(str, self.params.stop_token_ids)}

    def is_final(self, step: Sample) -> bool:
        """Whether a step says that the answer has come to its end."""
        is_whole = step.status is Status.OK
        return is_whole and bool(self.step.final) and self.step.final in step.text

    def params_after(self, chain: Chain) -> SamplingParams:
        """The parameters of the step that follows a chain: a function of the chain alone."""
        left = self.params.max_tokens - chain.num_tokens
        if len(chain.steps) + 1 == self.max_steps:
            return replace(self.params, max_tokens=left)
        return replace(
            self.params,
            max_tokens=min(self.step.max_tokens, left),
            stop=(*self.params.stop, *self.step.stop),
            stop_token_ids=(*self.params.stop_token_ids, *self.step.stop_token_ids),
            include_stop_str_in_output=True,
        )

    def is_step(self, chain: Chain) -> bool:
        """Whether another step may come after the last one of a chain."""
        last = chain.steps[-1]
        if len(chain.steps) >= self.max_steps or chain.num_tokens >= self.params.max_tokens:
            return False
        if last.status is Status.TRUNCATED:
            return True
        if self.is_final(last):
            return False
        return last.status is Status.OK and last.stop in self.ends


class Tree:
    """The tree of one question. Two plans that ask for the same node share it."""

    def __init__(self, query: Query, sampler: Sampler, growth: Growth) -> None:
        rule = "be one that draws answers step by step"
        require(isinstance(sampler, NodeSampler), "sampler", rule, type(sampler).__name__)
        assert isinstance(sampler, NodeSampler)
        self._query = query
        self._sampler: NodeSampler = sampler
        self._growth = growth
        self._chains: dict[Path, Chain] = {(): Chain()}
        # By text and token ids: chains that say the same are rated once.
        self._scores: dict[tuple[str, Prefix], asyncio.Future[float]] = {}
        self._tokens: dict[Path, int] = {}  # generated by each node, looked ahead ones by theirs

    async def grow(self, plans: Sequence[Plan]) -> None:
        """Grow what the plans ask for until they want no more."""
        await grow(plans, self._node, self._sampler.abort_node)

    def chains_at(self, paths: Sequence[Path]) -> tuple[Sample, ...]:
        """The chains that end at these nodes, as samples; thoughts are parted from answers."""
        return tuple(with_thought_apart(self._whole(path)) for path in paths)

    def tokens_beside(self, paths: Sequence[Path]) -> int:
        """The tokens of all nodes on none of the chains that end at these nodes."""
        kept = {path[:length] for path in paths for length in range(1, len(path) + 1)}
        return sum(tokens for path, tokens in self._tokens.items() if path not in kept)

    def _whole(self, path: Path) -> Sample:
        """A chain as a sample; one that had to end after a step is truncated."""
        chain, params = self._chains[path], self._growth.params
        sample = chain.joined()
        if self._growth.is_final(chain.steps[-1]):
            return sample
        if sample.status is Status.OK and sample.stop in self._growth.ends:
            return replace(sample, status=Status.TRUNCATED)
        if sample.stop in params.stop and not params.include_stop_str_in_output:
            return replace(sample, text=sample.text.removesuffix(sample.stop))
        return sample

    async def _node(self, path: Path) -> Node:
        chain = await self._drawn(self._chains[path[:-1]], path[-1], self._growth.params)
        self._chains[path] = chain
        last = chain.steps[-1]
        has_ended = not self._growth.is_step(chain)
        if last.status in (Status.ERROR, Status.CANCELLED):
            return Node(score=math.nan, has_ended=True, text=last.text)
        seen = chain if has_ended else await self._ahead_of(chain)
        return Node(score=await self._score(seen), has_ended=has_ended, text=last.text)

    async def _drawn(self, parent: Chain, child: int, params: SamplingParams) -> Chain:
        """Draw the step `child` after a chain."""
        growth = replace(self._growth, params=params)
        path = (*parent.path, child)
        sample = await self._sampler.step(path, parent.prefix, growth.params_after(parent))
        is_greedy = params is not self._growth.params
        self._tokens[(*path, -1) if is_greedy else path] = sample.generated_tokens
        return parent.with_step(child, sample)

    async def _ahead_of(self, chain: Chain) -> Chain:
        """The chain with the steps that the model would most likely take next."""
        greedy = replace(self._growth.params, temperature=0.0)
        for _ in range(self._growth.lookahead):
            if not self._growth.is_step(chain):
                break
            chain = await self._drawn(chain, 0, greedy)
        return chain

    async def _score(self, chain: Chain) -> float:
        """Rate what a chain says so far, unless one that says the same has been or is being."""
        sample = replace(chain.joined(), status=Status.OK)
        key = (sample.text, sample.token_ids)
        if key in self._scores:
            return await self._scores[key]
        pending = self._scores[key] = asyncio.get_running_loop().create_future()
        try:
            score = await self._rate(sample)
        except BaseException:
            pending.cancel()  # whoever waits for it is cancelled with this task
            raise
        pending.set_result(score)
        return score

    async def _rate(self, sample: Sample) -> float:
        candidates = Candidates(samples=(sample,), answers=(sample.text,))
        scored = with_calls(candidates, self._sampler)
        return float((await score_candidates(self._query, scored, self._growth.score))[0])
