"""A live vLLM engine: one request, one sample.

vLLM turns a request for n samples into n requests anyway. Asking for one each gives every sample
its own seed, its own abort and its own moment of being stored; the prompt is computed once all the
same, by prefix caching.

It knows how to use an engine and when to give it up, not how one is started.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from nbest.model_backend.confidence_floor import FloorWatch
from nbest.model_backend.vllm.chat import ChatFormat
from nbest.model_backend.vllm.errors import backend_error
from nbest.model_backend.vllm.processes.orphans import kill_tree
from nbest.model_backend.vllm.requests import (
    falls_now,
    rating_of,
    rating_params,
    sample_of,
    vllm_params,
)
from nbest.model_backend.vllm.thoughts import Parting, by_tags
from nbest.orchestrator.engines.aborts import EarlyAborts, cancelled_sample
from nbest.orchestrator.errors import BackendError, EngineDead
from nbest.orchestrator.types import Prefix, Request, Sample, Status

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from vllm import RequestOutput, SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM

    from nbest.model_backend.vllm.processes.failure_log import FailureLog
    from nbest.model_backend.vllm.processes.stall import Stall

# An abort may overtake its request on its way into the engine, which then ignores it; so it is
# repeated at this interval until the request has come back.
ABORT_AGAIN_S = 0.02


class VLLMEngine:
    """A live vLLM engine."""

    def __init__(
        self,
        engine: AsyncLLM,
        stall: Stall,
        log: FailureLog,
        name: str = "",
        *,
        part: Parting = by_tags,
        chat: ChatFormat = ChatFormat(),  # noqa: B008 # frozen
        lora: LoRARequest | None = None,
    ) -> None:
        self._engine = engine
        self._part = part
        self._stall = stall
        self._log = log
        self._name = name
        self._hung = ""
        self._chat = chat
        self._lora = lora
        self._live: set[str] = set()
        self._early = EarlyAborts()
        # The N samples of a query share a prompt: it is rendered and tokenized once.
        self._token_ids = lru_cache(maxsize=1024)(partial(chat.token_ids, engine.get_tokenizer()))

    @property
    def num_unfinished(self) -> int:
        """The number of requests that the engine itself still works on or keeps waiting."""
        return int(self._engine.get_num_unfinished_requests())

    async def generate(self, request: Request) -> Sample:
        if self._early.take(request.id):
            return cancelled_sample(request)
        started_s = time.monotonic()
        if not self._live:
            self._stall.begin(started_s)
        self._live.add(request.id)
        try:
            sample = await self._answer(request, started_s)
        except Exception as error:
            raise self._with_cause(backend_error(error)) from error
        finally:
            self._live.discard(request.id)
        return sample

    async def abort(self, request_id: str) -> None:
        if request_id not in self._live:
            return self._early.add(request_id)
        while request_id in self._live:
            await self._engine.abort(request_id)
            await asyncio.sleep(ABORT_AGAIN_S)

    async def watch(self) -> None:
        """Wait until the engine hangs, then kill it: all that it was working on fails."""
        while True:
            await asyncio.sleep(self._stall.wait_s(time.monotonic()))
            if self._stall.has_stalled(time.monotonic(), is_busy=bool(self._live)):
                break
        self._hung = f"no new token for {self._stall.silence_s:g} s, so it was killed"
        for core in core_processes(self._engine):
            if core.pid is not None:
                kill_tree(core.pid)

    def _with_cause(self, error: BackendError) -> BackendError:
        """Add the cause of a death: vLLM itself only says that an engine is dead."""
        if not isinstance(error, EngineDead):
            return error
        cause = self._hung or self._log.cause() or describe_exit(core_processes(self._engine))
        return EngineDead(f"the engine died: {cause or error}")

    async def _answer(self, request: Request, started_s: float) -> Sample:
        if request.response is not None:
            return await self._rate(request, request.response, started_s)
        floor = request.params.floor
        watch = None if floor is None else FloorWatch(floor)
        token_ids = self._token_ids(request.prompt, request.params.thinking)
        if request.prefix:
            token_ids = (*token_ids, *self._ids_of(request.prefix))
        output = await self._run(request.id, token_ids, vllm_params(request), watch)
        whole = sample_of(request, output, time.monotonic() - started_s, self._name)
        is_step = request.prefix is not None
        sample = whole if is_step else self._part(whole, request.params.thinking)
        if watch is None or not watch.fell:
            return sample
        return replace(sample, status=Status.TRUNCATED)  # however far the engine has come by now

    def _ids_of(self, prefix: Prefix) -> Iterator[int]:
        """The token ids of what an answer begins with; a text in it gets no special tokens."""
        tokenizer = self._engine.get_tokenizer()
        for part in prefix:
            if isinstance(part, str):
                yield from tokenizer.encode(part, add_special_tokens=False)
            else:
                yield part

    async def _rate(self, request: Request, response: str, started_s: float) -> Sample:
        """Read a response after its prompt: how likely each of its tokens is to this model."""
        tokenizer = self._engine.get_tokenizer()
        before, rated = self._chat.rating_ids(tokenizer, request.prompt, response)
        output = await self._run(request.id, [*before, *rated], rating_params(), None)
        return rating_of(request, output, len(rated), time.monotonic() - started_s, self._name)

    async def _run(
        self,
        request_id: str,
        token_ids: Sequence[int],
        params: SamplingParams,
        watch: FloorWatch | None,
    ) -> RequestOutput:
        prompt = {"prompt_token_ids": list(token_ids)}
        final: RequestOutput | None = None
        async for output in self._engine.generate(
            prompt, params, request_id, lora_request=self._lora
        ):
            final = output
            if watch is not None and falls_now(watch, output):
                await self._engine.abort(request_id)
        if final is None:
            raise EngineDead(f"the engine ended {request_id} without an output")
        return final


def core_processes(engine: AsyncLLM) -> list[BaseProcess]:
    """Return the processes that vLLM runs this engine in; their own children are its workers."""
    return list(engine.engine_core.resources.engine_manager.processes)


def describe_exit(processes: Sequence[BaseProcess]) -> str:
    """Say how the first process that failed has ended; empty when none has failed."""
    for code in (process.exitcode for process in processes):
        if code:
            return f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
    return ""
