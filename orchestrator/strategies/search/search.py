"""Search: an answer is drawn step by step, and what looks wrong is given up before its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nbest.orchestrator.protocols import NodeSampler, Scorer
from nbest.orchestrator.query.choice import Choice, sampling_for
from nbest.orchestrator.query.parts import require_part
from nbest.orchestrator.requirements import require
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.search.grown import Grown, TreeStrategy
from nbest.orchestrator.strategies.search.particles import require_chances
from nbest.orchestrator.strategies.search.plan import PlanSettings
from nbest.orchestrator.strategies.search.steps import Step, StepRules
from nbest.orchestrator.strategies.search.tree import Growth, Tree
from nbest.orchestrator.types import Query

ANEW = ("min_tokens", "presence_penalty", "frequency_penalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(TreeStrategy):
    """Grow a tree of steps by a plan, and choose among the chains that came to their end.

    `score` rates an answer as far as it has come: a process reward model, a reward model on
    prefixes, a mean log-probability, a judge, or any scorer that looks at each candidate alone.
    `params.max_tokens` are those of a chain. The samples of the selection are whole chains; what
    is stored, counted and billed are their steps, each once.

    Example: `Search(plan=Beam(n=16, width=4), score=Reward(model=prm), select=MajorityVote())`
    """

    plan: PlanSettings
    score: Scorer
    step: Step = field(default_factory=Step)
    max_steps: int = 40
    lookahead: int = 0  # steps that are drawn greedily after each step, and rated with it
    seed: int = 0  # of what a plan draws at random

    def __post_init__(self) -> None:
        Choice.__post_init__(self)
        require_part("score", self.score, "needs_logprobs")
        require(self.max_steps >= 1, "max_steps", "be at least 1", self.max_steps)
        require(self.lookahead >= 0, "lookahead", "be at least 0", self.lookahead)
        self._require_steps()
        require_chances(self.plan, self.score)

    def _require_steps(self) -> None:
        """Refuse what an engine would begin anew at every step."""
        params, plain = self.params, SamplingParams()
        thinks_so_long = params.thinking is not None and params.thinking.budget is not None
        is_anew = {
            "constraint": params.constraint is not None,
            "thinking.budget": thinks_so_long,
            **{name: getattr(params, name) != getattr(plain, name) for name in ANEW},
        }
        for name, is_set in is_anew.items():
            require(not is_set, name, "be left out with a search: each step would begin anew", name)

    @property
    def n(self) -> int:
        """How many chains it begins with."""
        return self.plan.n

    def sampling(self) -> SamplingParams:
        """The parameters of a chain, with the log-probabilities that both scorers need."""
        return sampling_for(self.score, sampling_for(self.select, self.params))

    async def grown(self, query: Query, sampler: NodeSampler) -> Grown:
        """Grow the tree of a question: what is chosen from, whatever the selector."""
        tree = Tree(query, sampler, self._growth())
        plans = self.plan.plans(f"{self.seed}/{query.id}")
        await tree.grow(plans)
        leaves = [leaf for plan in plans for leaf in plan.leaves()]
        leaves.sort(key=lambda leaf: leaf.path)  # plans know what is good: ties must not
        paths = [leaf.path for leaf in leaves]
        return Grown(
            chains=tree.chains_at(paths),
            weights=np.array([leaf.weight for leaf in leaves], np.float64),
            tokens=tree.tokens_beside(()),
            pruned_tokens=tree.tokens_beside(paths),
            steps=tree.steps_at(paths),
            paths=tuple(paths),
            nodes=tree.nodes(),
        )

    def _growth(self) -> Growth:
        rules = StepRules(params=self.sampling(), step=self.step, max_steps=self.max_steps)
        greedy = replace(rules, params=replace(rules.params, temperature=0.0))
        return Growth(rules=rules, greedy=greedy, score=self.score, lookahead=self.lookahead)
