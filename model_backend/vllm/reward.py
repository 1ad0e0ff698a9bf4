"""A reward model on vLLM's pooling runner: its settings, and a live engine.

Outcome models (sequence classification) give one raw number a response, process models (token
classification) one a step. vLLM and torch are imported when an engine starts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from nbest.model_backend.models.folder_digest import folder_digest
from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.reward.reading import InputFormat, read_question_after
from nbest.model_backend.reward.steps import Steps
from nbest.model_backend.vllm.processes.failure_log import failure_log
from nbest.model_backend.vllm.processes.orphans import orphan_guard
from nbest.model_backend.vllm.processes.stall import Stall, StepLogger
from nbest.model_backend.vllm.processes.start import shut_down, start, start_guarded
from nbest.model_backend.vllm.reward_engine import VLLMRewardEngine
from nbest.model_backend.vllm.settings import GPU_SHARE, VLLM

if TYPE_CHECKING:
    from vllm.v1.engine.async_llm import AsyncLLM


@dataclass(frozen=True, slots=True)
class VLLMReward:
    """Settings of a reward model's vLLM engine, under vLLM's own names.

    Without `steps` it is an outcome model: the raw score, before any activation. With them it is a
    process model. Any causal language model with a scalar head can be served, as
    `nbest train-verifier` writes it.

    Example: `VLLMReward("runs/verifier")`,
    `VLLMReward("Qwen/Qwen2.5-Math-PRM-7B", steps=Steps(tag="<extra_0>"))`
    """

    model: str  # a folder, or a hub id
    _: KW_ONLY
    steps: Steps | None = None
    dtype: str = "auto"
    max_model_len: int | None = None  # tokens of question and response; None: the model's own
    max_num_seqs: int = 128  # responses that are read at once
    tensor_parallel_size: int = 1  # GPUs an engine
    gpu_memory_utilization: float = GPU_SHARE  # of a GPU's memory, as `VLLM` has it
    cpu_kv_cache_gib: int = 1  # GiB for the KV cache of an engine without a GPU
    enforce_eager: bool | None = None  # None: eager without a GPU, where compiling never pays
    revision: str | None = None  # of a model from a hub
    trust_remote_code: bool = False  # run Python that comes with the model
    stall_s: float = 120.0  # [s] without any progress after which an engine counts as hung
    question_after: str | None = (
        None  # ends the part of a raw prompt that is skipped; None: as trained
    )
    # Of a folder, read when this is made and never again: what is trained anew is another model,
    # and driver and workers must know the model by one name, whatever becomes of the folder.
    digest: str | None = field(init=False)

    def __post_init__(self) -> None:
        _ = self.engine  # the rules of its settings hold here, too
        object.__setattr__(self, "digest", folder_digest(self.model))

    @property
    def rates(self) -> Literal["rewards"]:
        return "rewards"

    @property
    def engine(self) -> VLLM:
        """The same settings, as a vLLM engine is started with them."""
        return VLLM(
            self.model,
            dtype=self.dtype,
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            tensor_parallel_size=self.tensor_parallel_size,
            gpu_memory_utilization=self.gpu_memory_utilization,
            cpu_kv_cache_gib=self.cpu_kv_cache_gib,
            enforce_eager=self.enforce_eager,
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
            stall_s=self.stall_s,
        )

    @property
    def max_concurrency(self) -> int:
        return self.max_num_seqs

    @property
    def gpus(self) -> float:
        return self.engine.gpus

    @property
    def identity(self) -> dict[str, str | int | None]:
        steps = None if self.steps is None else repr(self.steps)
        after = {"question_after": self.question_after, "digest": self.digest}
        return {**self.engine.identity, "steps": steps, **after}

    def _input_format(self, engine: AsyncLLM) -> InputFormat:
        return InputFormat(
            steps=self.steps,
            question_after=read_question_after(resolve_model(self.model), self.question_after),
            max_tokens=int(engine.model_config.max_model_len),
        )

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[VLLMRewardEngine]:
        """Start the engine, and stop it at the end."""
        stall = Stall(self.stall_s, time.monotonic())
        step_logger = StepLogger(lambda: stall.progress(time.monotonic()))
        with orphan_guard() as guard, failure_log() as log:
            begin = partial(start, self.engine, log, step_logger, "pooling")
            engine = await start_guarded(guard, begin)
            input_format = self._input_format(engine)
            live = VLLMRewardEngine(engine, stall, log, name, input_format=input_format)
            watching = asyncio.create_task(live.watch())
            try:
                yield live
            finally:
                watching.cancel()
                shut_down(engine)
