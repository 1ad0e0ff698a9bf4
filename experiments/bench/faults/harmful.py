"""Selectors that misbehave at one query, and vote for all others, as a bad plugin might."""

from __future__ import annotations

from dataclasses import dataclass, field

from nbest.model_backend.fake.faults import Harm, harm_process, write_journal
from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.votes.majority import MajorityVote


@dataclass(frozen=True, slots=True, kw_only=True)
class KillsWorker:
    """Ends the process that scores the query with that id."""

    query_id: str
    harm: Harm = Harm.SIGKILL
    journal: str = field(repr=False)  # a file that gets a line before each death

    @property
    def needs_logprobs(self) -> int | None:
        return None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if query.id == self.query_id:
            write_journal(self.journal, query.id)
            harm_process(self.harm)
        return await MajorityVote()(query, candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raises:
    """Raises an error at the query with that id."""

    query_id: str

    @property
    def needs_logprobs(self) -> int | None:
        return None

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        if query.id == self.query_id:
            raise ZeroDivisionError("the verifier broke")
        return await MajorityVote()(query, candidates)
