"""Plain vLLM, as its own users call it: the yardstick that `nbest bench engine` measures against.

The engine lives in a process of its own, so that it and ours can take turns on one machine.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.vllm.processes.orphans import orphan_guard
from nbest.model_backend.vllm.processes.start import (
    Runner,
    engine_args,
    engine_cores,
    engine_environment,
)
from nbest.model_backend.vllm.requests import vllm_params
from nbest.model_backend.vllm.reward_engine import pooling_params
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.errors import EngineDead
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request

if TYPE_CHECKING:
    from vllm import LLM

START_S = 300.0
STOP_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateCall:
    """One call of `LLM.generate`."""

    prompts: tuple[str, ...]
    n: int
    params: SamplingParams
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResult:
    """The number of tokens of a call, and how long it took inside `LLM.generate`."""

    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeCall:
    """One call of `LLM.encode`, for the raw scores of a reward model."""

    ids: tuple[tuple[int, ...], ...]  # token ids of each text


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeResult:
    """The raw scores of the texts of a call, and how long it took inside `LLM.encode`."""

    scores: tuple[float, ...]
    seconds: float


class PlainVLLM:
    """Sends calls to the process that holds the engine."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def generate(self, call: GenerateCall) -> GenerateResult:
        result: GenerateResult = self._send(call)
        return result

    def rate(self, call: EncodeCall) -> EncodeResult:
        result: EncodeResult = self._send(call)
        return result

    def _send(self, call: GenerateCall | EncodeCall) -> Any:
        self._pipe.send(call)
        try:
            return self._pipe.recv()
        except EOFError:
            raise EngineDead("the process of plain vLLM has ended") from None


@contextmanager
def plain_vllm(settings: VLLM, runner: Runner = "generate") -> Iterator[PlainVLLM]:
    """Start `vllm.LLM` with the same engine arguments as our backend, and stop it at the end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(settings, runner, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_S):
            raise EngineDead(f"plain vLLM did not start within {START_S:.0f} s")
        ours.recv()
        yield PlainVLLM(ours)
    finally:
        if process.is_alive():
            ours.send(None)
        process.join(STOP_S)
        process.kill()
        ours.close()


def _serve(settings: VLLM, runner: Runner, pipe: Connection) -> None:
    from vllm import LLM

    path = resolve_model(settings.model)
    is_local = os.path.isdir(path)
    with engine_environment(settings, is_local=is_local), orphan_guard() as guard:
        ours = engine_args(settings, path)
        arguments = {name: getattr(ours, name) for name in SAME_ARGUMENTS}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        llm = LLM(**arguments, runner=runner)
        for core in engine_cores():
            guard.watch(core)
        pipe.send("ready")
        while (call := pipe.recv()) is not None:
            pipe.send(_rate(llm, call) if isinstance(call, EncodeCall) else _generate(llm, call))
        llm.llm_engine.engine_core.shutdown()  # else the engine's own process outlives this one


def _generate(llm: LLM, call: GenerateCall) -> GenerateResult:
    request = Request(id="", prompt="", params=call.params, seed=call.seed)
    params = vllm_params(request)
    params.n = call.n  # child i samples with seed + i
    started_s = time.monotonic()
    outputs = llm.generate(list(call.prompts), params, use_tqdm=False)
    seconds = time.monotonic() - started_s
    return GenerateResult(
        tokens=sum(len(c.token_ids) for output in outputs for c in output.outputs), seconds=seconds
    )


def _rate(llm: LLM, call: EncodeCall) -> EncodeResult:
    prompts = [{"prompt_token_ids": list(ids)} for ids in call.ids]
    started_s = time.monotonic()
    outputs = llm.encode(
        prompts, pooling_params=pooling_params(None), pooling_task="classify", use_tqdm=False
    )
    seconds = time.monotonic() - started_s
    scores = tuple(output.outputs.data.float().item() for output in outputs)
    return EncodeResult(scores=scores, seconds=seconds)


# The arguments that `engine_args` sets.
SAME_ARGUMENTS: Sequence[str] = (
    "model",
    "revision",
    "dtype",
    "max_model_len",
    "max_num_seqs",
    "tensor_parallel_size",
    "gpu_memory_utilization",
    "enforce_eager",
    "enable_prefix_caching",
    "enable_chunked_prefill",
    "max_num_batched_tokens",
    "trust_remote_code",
)
