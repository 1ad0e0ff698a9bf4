"""vLLM as a backend: its settings, and an engine for as long as it is open.

It knows no Ray, no store and no scorer. vLLM and torch are imported when an engine starts.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Literal

from nbest.model_backend.models.folder_digest import folder_digest
from nbest.model_backend.vllm.chat import ChatFormat, read_template
from nbest.model_backend.vllm.engine import VLLMEngine
from nbest.model_backend.vllm.engine_options import check_engine_options, identity_of
from nbest.model_backend.vllm.lora import lora_request
from nbest.model_backend.vllm.processes.failure_log import failure_log
from nbest.model_backend.vllm.processes.orphans import orphan_guard
from nbest.model_backend.vllm.processes.stall import Stall, StepLogger
from nbest.model_backend.vllm.processes.start import shut_down, start, start_guarded
from nbest.model_backend.vllm.thoughts import TAGS, parting, require_parser
from nbest.orchestrator.requirements import require

GPU_SHARE = 0.9  # of a GPU's memory, that an engine takes which has it alone


@dataclass(frozen=True, slots=True)
class VLLM:
    """Settings of a vLLM engine, under vLLM's own names.

    Example: `VLLM("smollm2-135m")`, `VLLM("Qwen/Qwen3-8B", tensor_parallel_size=2)`
    """

    model: str  # "smollm2-135m", a folder, or a hub id
    _: KW_ONLY
    dtype: str = "auto"  # the model's own; float32 on a CPU that computes no bfloat16
    max_model_len: int | None = None  # tokens of prompt and answer together; None: the model's own
    max_num_seqs: int = 128  # samples that decode at once
    tensor_parallel_size: int = 1  # GPUs an engine
    distributed_executor_backend: str | None = None  # "ray" where an engine's GPUs span nodes
    # Share of a GPU's memory; on less of one GPU, engines share it. Without a GPU no meaning.
    gpu_memory_utilization: float = GPU_SHARE
    cpu_kv_cache_gib: int = 1  # GiB for the KV cache of an engine without a GPU
    enforce_eager: bool | None = None  # None: eager without a GPU, where compiling never pays
    enable_prefix_caching: bool = True
    revision: str | None = None  # of a model from a hub
    lora: str | None = None  # the folder of a LoRA adapter, by which all samples are drawn
    trust_remote_code: bool = False  # run Python that comes with the model
    chat_template: str | None = None  # Jinja, as text or the file of it; None: the model's own
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    # How thought and answer are told apart: by "tags", by tags of the model's own as
    # "<plan> </plan>", by a reasoning parser of vLLM, or "none".
    reasoning: str = "tags"
    # Any other argument of vLLM's engine, by its name: {"quantization": "fp8"}
    engine: Mapping[str, Any] = field(default_factory=dict, hash=False)
    stall_s: float = 120.0  # [s] without any progress after which an engine counts as hung
    ray_metrics: bool = False  # vLLM's own metrics through Ray; needs the packages of Ray Serve
    # Read when this is made and never again: an adapter that is trained anew is another one, and
    # driver and workers must know it by one name, whatever becomes of the folder.
    lora_digest: str | None = field(init=False)

    def __post_init__(self) -> None:
        require(bool(self.model), "model", "be named", self.model)
        require(self.max_num_seqs >= 1, "max_num_seqs", "be at least 1", self.max_num_seqs)
        length, parallel = self.max_model_len, self.tensor_parallel_size
        require(length is None or length >= 2, "max_model_len", "be at least 2", length)
        require(parallel >= 1, "tensor_parallel_size", "be at least 1", parallel)
        share = self.gpu_memory_utilization
        require(0 < share <= 1, "gpu_memory_utilization", "lie in (0, 1]", share)
        cache_gib = self.cpu_kv_cache_gib
        require(cache_gib >= 1, "cpu_kv_cache_gib", "be at least 1", cache_gib)
        require(self.lora != "", "lora", "be the folder of an adapter", self.lora)
        require(self.stall_s > 0, "stall_s", "be above 0", self.stall_s)
        check_engine_options(self.engine)
        require_parser(self.reasoning)
        digest = None if self.lora is None else folder_digest(self.lora)
        object.__setattr__(self, "lora_digest", digest)
        if self.chat_template is not None:  # read here: engines may be on other machines
            object.__setattr__(self, "chat_template", read_template(self.chat_template))

    @property
    def max_concurrency(self) -> int:
        return self.max_num_seqs

    @property
    def rates(self) -> Literal["log-probabilities"]:
        return "log-probabilities"

    @property
    def gpus(self) -> float:
        """GPUs of an engine: those that share a layer, times the parts that hold others.

        An engine on one GPU that takes less of its memory than usual has it with others.
        """
        parts = ("pipeline_parallel_size", "data_parallel_size", "prefill_context_parallel_size")
        count = self.tensor_parallel_size * math.prod(int(self.engine.get(p, 1)) for p in parts)
        share = self.gpu_memory_utilization
        return share if count == 1 and share < GPU_SHARE else count

    @property
    def identity(self) -> dict[str, str | int | None]:
        return {
            "model": self.model,
            "revision": self.revision,
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
            **({} if self.reasoning == TAGS else {"reasoning": self.reasoning}),
            **({} if self.lora is None else {"lora": self.lora, "lora_digest": self.lora_digest}),
            **self._chat.identity,
            **identity_of(self.engine),
        }

    @property
    def _chat(self) -> ChatFormat:
        return ChatFormat(template=self.chat_template, arguments=self.chat_template_kwargs)

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[VLLMEngine]:
        """Start the engine (half a minute for a small model), and stop it at the end."""
        stall = Stall(self.stall_s, time.monotonic())
        step_logger = StepLogger(lambda: stall.progress(time.monotonic()))
        with orphan_guard() as guard, failure_log() as log, ExitStack() as at_end:
            engine = await start_guarded(guard, partial(start, self, log, step_logger))
            at_end.callback(shut_down, engine)
            tokenizer = engine.get_tokenizer()
            self._chat.check(tokenizer)
            live = VLLMEngine(
                engine,
                stall,
                log,
                name,
                part=parting(self.reasoning, tokenizer, self._chat),
                chat=self._chat,
                lora=lora_request(self.lora),
            )
            watching = asyncio.create_task(live.watch())
            at_end.callback(watching.cancel)
            yield live
