"""A backend without a model: it answers from a script, at the pace that the script says.

It serves tests, rehearsals of large runs, and measurements of the overhead around an engine. It
keeps the `Backend` contract to the letter: stop strings, max_tokens, aborts, failures.

It knows no text but what its script gives it, and no time but what its clock says.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from nbest.model_backend.confidence_floor import falls_after
from nbest.model_backend.fake.clocks import Clock, LoopClock
from nbest.model_backend.fake.script import (
    Cut,
    Reply,
    Script,
    cut,
    cut_at_ids,
    duration_s,
    tokens_by,
)
from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled_sample
from nbest.orchestrator.engines.batches import Done, Result
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.reasoning import with_thought_apart
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Request, Sample, Status, TopLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeBackend:
    """Settings of a fake engine.

    Example: `FakeBackend(script=SeededAnswers(answers=("42", "41"), weights=(2, 1)))`
    """

    script: Script
    max_concurrency: int = 256
    gpus: float = 0
    clock: Clock = field(default_factory=LoopClock)

    @property
    def identity(self) -> dict[str, str | int | None]:
        return {"script": repr(self.script)}

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[FakeEngine]:
        yield FakeEngine(self, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TimedReply:
    """A reply that takes time, cut by the parameters of its request."""

    reply: Reply
    kept: Cut
    seconds: float


class FakeEngine:
    """A live fake engine."""

    def __init__(self, settings: FakeBackend, name: str = "") -> None:
        self._settings = settings
        self._name = name
        self._early = EarlyAborts()
        self._aborts: dict[str, asyncio.Event] = {}
        self.served = 0  # requests that came to an end of any kind

    @property
    def in_flight(self) -> tuple[str, ...]:
        """The ids of the requests that are being answered, in the order in which they came."""
        return tuple(self._aborts)

    async def generate(self, request: Request) -> Sample:
        answer = self._begin(request)
        if isinstance(answer, _TimedReply):
            return await self._deliver(request, answer)
        if isinstance(answer, BackendError):
            raise answer
        return answer

    async def generate_many(self, requests: Sequence[Request], done: Done) -> None:
        """Answer a batch, as `BatchedBackend` asks; a reply that takes no time costs no task."""

        async def deliver(request: Request, reply: _TimedReply) -> None:
            try:
                result: Result = await self._deliver(request, reply)
            except BackendError as error:
                result = error
            done(request, result)

        slow: list[tuple[Request, _TimedReply]] = []
        for request in requests:
            answer = self._begin(request)
            if isinstance(answer, _TimedReply):
                slow.append((request, answer))
            else:
                done(request, answer)
        if slow:
            async with task_group() as group:
                for request, reply in slow:
                    group.create_task(deliver(request, reply))

    async def abort(self, request_id: str) -> None:
        if (abort := self._aborts.get(request_id)) is not None:
            abort.set()
        else:
            self._early.add(request_id)

    def _begin(self, request: Request) -> Result | _TimedReply:
        """Return the answer if it is there at once, else the reply and the time that it takes."""
        if self._early.take(request.id):
            return cancelled_sample(request)
        reply = self._settings.script(request)
        kept = cut_at_ids(reply, cut(reply.tokens, request.params), request.params)
        if (fall := tokens_until_fall(reply, len(kept.tokens), request.params)) is not None:
            kept = Cut(kept.tokens[:fall], Status.TRUNCATED)
        if seconds := duration_s(reply, len(kept.tokens)):
            return _TimedReply(reply=reply, kept=kept, seconds=seconds)
        self.served += 1
        return reply.error or self._sample(request, reply, kept, 0.0)

    async def _deliver(self, request: Request, timed: _TimedReply) -> Sample:
        """Let the time of the reply pass, then return the sample; an abort cuts both short."""
        if self._early.take(request.id):
            return cancelled_sample(request)
        started_s = self._settings.clock.now()
        try:
            is_aborted = await self._wait(request.id, timed.seconds)
        finally:
            self.served += 1
        reply, kept = timed.reply, timed.kept
        if reply.error is not None and not is_aborted:
            raise reply.error
        elapsed_s = self._settings.clock.now() - started_s
        if is_aborted:
            kept = Cut(kept.tokens[: tokens_by(reply, elapsed_s)], Status.CANCELLED)
        return self._sample(request, reply, kept, elapsed_s)

    async def _wait(self, request_id: str, seconds: float) -> bool:
        """Let the reply's time pass; True when an abort cut it short."""
        abort = self._aborts[request_id] = asyncio.Event()
        waits = [
            asyncio.ensure_future(self._settings.clock.sleep(seconds)),
            asyncio.ensure_future(abort.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return abort.is_set()
        finally:
            del self._aborts[request_id]
            for wait in waits:
                wait.cancel()

    def _sample(self, request: Request, reply: Reply, kept: Cut, elapsed_s: float) -> Sample:
        tokens = kept.tokens
        logprobs = None
        if request.params.logprobs is not None:
            logprobs = (reply.logprobs or (-1.0,) * len(reply.tokens))[: len(tokens)]
        num_tokens = len(tokens) if request.response is None else 0  # a reward is no generation
        sample = Sample(
            id=request.id,
            text="".join(tokens),
            token_ids=(reply.token_ids or tuple(range(num_tokens)))[:num_tokens],
            logprobs=logprobs,
            top_logprobs=top_logprobs(reply, len(tokens), request.params),
            status=kept.status,
            stop=kept.stop,
            prompt_tokens=reply.prompt_tokens,
            generated_tokens=num_tokens,
            first_token_s=min(reply.first_token_s, elapsed_s) if elapsed_s else 0.0,
            total_s=elapsed_s,
            engine=self._name,
        )
        is_whole = request.response is None and request.prefix is None
        return with_thought_apart(sample) if is_whole else sample


def top_logprobs(reply: Reply, num_tokens: int, params: SamplingParams) -> TopLogprobs | None:
    """Return the [T, k] likeliest log-probabilities of a reply; None where none were asked for.

    Where the reply names fewer than k tokens, made-up ones share the rest of the probability.
    """
    k = params.logprobs
    if not k:
        return None
    pairs = zip(reply.tokens, reply.logprobs or (-1.0,) * len(reply.tokens), strict=True)
    tops = reply.top or [{token: logprob} for token, logprob in pairs]
    rows = [_fill_up(top, k) for top in tops[:num_tokens]]
    return TopLogprobs(
        k=k,
        packed=array("f", (logprob for row in rows for _, logprob in row)).tobytes(),
        texts=tuple(text for row in rows for text, _ in row) if params.token_texts else (),
    )


def tokens_until_fall(reply: Reply, num_tokens: int, params: SamplingParams) -> int | None:
    """Return after how many tokens the sample falls below its floor; None if it does not."""
    top = top_logprobs(reply, num_tokens, params)
    if params.floor is None or top is None:
        return None
    return falls_after(params.floor, top.array().tolist())


def _fill_up(top: Mapping[str, float], k: int) -> list[tuple[str, float]]:
    """Return the k likeliest tokens of a position, likeliest first, made-up ones at the end."""
    likeliest = sorted(top.items(), key=lambda item: -item[1])[:k]
    missing = k - len(likeliest)
    rest = max(1e-6, 1.0 - math.fsum(math.exp(logprob) for _, logprob in likeliest))
    lowest = min([math.log(rest / max(1, missing)), *(logprob for _, logprob in likeliest)])
    return likeliest + [(f"<{i}>", lowest) for i in range(missing)]
