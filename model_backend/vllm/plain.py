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
from nbest.model_backend.vllm.orphans import orphan_guard
from nbest.model_backend.vllm.requests import vllm_params
from nbest.model_backend.vllm.reward_engine import pooling
from nbest.model_backend.vllm.settings import VLLM
from nbest.model_backend.vllm.start import Runner, engine_args, engine_cores, prepare_environment
from nbest.orchestrator.errors import EngineDead
from nbest.orchestrator.types import Request, SamplingParams

if TYPE_CHECKING:
    from vllm import LLM

START_S = 300.0
STOP_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One call of `LLM.generate`."""

    prompts: tuple[str, ...]
    n: int
    params: SamplingParams
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What a batch gave, and how long it took inside `LLM.generate`."""

    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """One call of `LLM.encode`: a reward model's raw scores."""

    ids: tuple[tuple[int, ...], ...]  # token ids of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What the texts scored, and how long it took inside `LLM.encode`."""

    scores: tuple[float, ...]
    seconds: float


class PlainVLLM:
    """Sends batches to the process that holds the engine."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def generate(self, batch: Batch) -> Generated:
        generated: Generated = self._ask(batch)
        return generated

    def rate(self, texts: Texts) -> Rated:
        rated: Rated = self._ask(texts)
        return rated

    def _ask(self, what: Batch | Texts) -> Any:
        self._pipe.send(what)
        try:
            return self._pipe.recv()
        except EOFError:
            raise EngineDead("the process of plain vLLM has ended") from None


@contextmanager
def plain_vllm(settings: VLLM, runner: Runner = "generate") -> Iterator[PlainVLLM]:
    """`vllm.LLM` with the same engine arguments as our backend."""
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
    prepare_environment(settings, is_local=os.path.isdir(path))
    arguments = engine_args(settings, path)
    given = {name: getattr(arguments, name) for name in SAME_ARGUMENTS}
    with orphan_guard() as guard:
        known = {name: value for name, value in given.items() if value is not None}
        llm = LLM(**known, runner=runner)
        for core in engine_cores():
            guard.watch(core)
        pipe.send("ready")
        while (batch := pipe.recv()) is not None:
            pipe.send(_rate(llm, batch) if isinstance(batch, Texts) else _generate(llm, batch))
        llm.llm_engine.engine_core.shutdown()  # else the engine's own process outlives this one


def _generate(llm: LLM, batch: Batch) -> Generated:
    request = Request(id="", prompt="", params=batch.params, seed=batch.seed)
    params = vllm_params(request)
    params.n = batch.n  # child i samples with seed + i
    started_s = time.monotonic()
    outputs = llm.generate(list(batch.prompts), params, use_tqdm=False)
    seconds = time.monotonic() - started_s
    return Generated(
        tokens=sum(len(c.token_ids) for output in outputs for c in output.outputs), seconds=seconds
    )


def _rate(llm: LLM, texts: Texts) -> Rated:
    prompts = [{"prompt_token_ids": list(ids)} for ids in texts.ids]
    started_s = time.monotonic()
    outputs = llm.encode(
        prompts, pooling_params=pooling(None), pooling_task="classify", use_tqdm=False
    )
    seconds = time.monotonic() - started_s
    return Rated(scores=tuple(o.outputs.data.float().item() for o in outputs), seconds=seconds)


# What `engine_args` sets, by name.
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
