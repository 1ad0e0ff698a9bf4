"""Starts vLLM: from our settings to an engine that answers.

vLLM and torch are imported here, and only when an engine starts.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.vllm.errors import setting_error
from nbest.model_backend.vllm.lora import lora_arguments
from nbest.model_backend.vllm.processes.failure_log import FailureLog, log_file_hint
from nbest.model_backend.vllm.processes.orphans import OrphanGuard, kill_tree
from nbest.model_backend.vllm.thoughts import is_parser
from nbest.orchestrator.errors import BackendError, InputError, first_line
from nbest.orchestrator.requirements import require

if TYPE_CHECKING:
    from vllm import AsyncEngineArgs
    from vllm.config import StructuredOutputsConfig
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.metrics.loggers import StatLoggerFactory

    from nbest.model_backend.vllm.processes.stall import StepLogger

Runner = Literal["generate", "pooling"]

# Block size of the KV cache on CPUs: the smallest that the attention kernels are made for.
CPU_BLOCK_TOKENS = 32

# What the processes of an engine get to leave by themselves: one that computes would take longer.
LEAVE_S = 0.3

# How often to look for the core's process while it starts: for that long it might be orphaned.
LOOK_S = 0.2


class EngineOptions(Protocol):
    """The settings of an engine that are used here; `VLLM` explains each."""

    @property
    def model(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    @property
    def max_model_len(self) -> int | None: ...

    @property
    def max_num_seqs(self) -> int: ...

    @property
    def tensor_parallel_size(self) -> int: ...

    @property
    def distributed_executor_backend(self) -> str | None: ...

    @property
    def gpu_memory_utilization(self) -> float: ...

    @property
    def cpu_kv_cache_gib(self) -> int: ...

    @property
    def enforce_eager(self) -> bool | None: ...

    @property
    def enable_prefix_caching(self) -> bool: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def lora(self) -> str | None: ...

    @property
    def trust_remote_code(self) -> bool: ...

    @property
    def reasoning(self) -> str: ...

    @property
    def engine(self) -> Mapping[str, Any]: ...

    @property
    def ray_metrics(self) -> bool: ...


async def start_guarded(guard: OrphanGuard, start: Callable[[], AsyncLLM]) -> AsyncLLM:
    """Run `start` in a thread; its processes die with this one, and at once on cancellation."""
    before = engine_cores()
    starting = asyncio.create_task(asyncio.to_thread(start))
    try:
        while not starting.done():
            await asyncio.wait([starting], timeout=LOOK_S)
            for core in engine_cores() - before:
                guard.watch(core)  # and its workers, as they come
    except asyncio.CancelledError:
        # A thread cannot be stopped, but this one fails when the process it waits for is gone.
        while not starting.done():
            for core in engine_cores() - before:
                kill_tree(core)
            await asyncio.wait([starting], timeout=LOOK_S)
        if starting.exception() is None:
            shut_down(starting.result())
        raise
    return starting.result()


def engine_cores() -> set[int]:
    """Return the pids of the processes that vLLM runs its engines in, as children of this one."""
    children = multiprocessing.active_children()
    return {c.pid for c in children if c.pid is not None and c.name.startswith("EngineCore")}


def start(
    settings: EngineOptions,
    log: FailureLog | None = None,
    step_logger: StepLogger | None = None,
    runner: Runner = "generate",
) -> AsyncLLM:
    """Load the model, to generate or to rate; returns when the engine answers."""
    path = resolve_model(settings.model)
    with engine_environment(settings, is_local=os.path.isdir(path)):
        return _started(settings, path, log, step_logger, runner)


def _started(
    settings: EngineOptions,
    path: str,
    log: FailureLog | None,
    step_logger: StepLogger | None,
    runner: Runner,
) -> AsyncLLM:
    try:
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise InputError(
            f"backend must be installed: pip install 'nbest[cuda]' or 'nbest[cpu]', got {error}"
        ) from error
    loggers = stat_loggers(settings, step_logger)
    try:
        arguments = engine_args(settings, path)
        arguments.runner = runner
        arguments.logging_config = None if log is None else log.logging_config()
        return AsyncLLM.from_engine_args(arguments, stat_loggers=loggers)
    except (ValueError, OSError) as error:
        raise InputError(
            f"model {settings.model!r} cannot be served: {setting_error(error)}"
        ) from error
    except RuntimeError as error:  # of the engine's own process, which has logged the cause
        cause = "" if log is None else log.cause()
        reason = cause or first_line(error) + log_file_hint()
        raise BackendError(f"model {settings.model!r} cannot be served: {reason}") from error


def stat_loggers(
    settings: EngineOptions, step_logger: StepLogger | None
) -> list[StatLoggerFactory]:
    """Return our stat logger, and vLLM's for Ray, which replaces its own for Prometheus."""
    loggers: list[StatLoggerFactory] = []
    if step_logger is not None:
        loggers.append(lambda config, index: step_logger)
    if settings.ray_metrics:
        from vllm.v1.metrics import ray_wrappers

        rule = "be off where Ray Serve cannot be imported (pip install grpcio-reflection)"
        require(ray_wrappers.ray_metrics is not None, "ray_metrics", rule, True)
        loggers.append(ray_wrappers.RayPrometheusStatLogger)
    return loggers


def shut_down(engine: AsyncLLM) -> None:
    """Shut an engine down, once: its processes get a moment to leave, for all is said by now."""
    engine.shutdown(timeout=LEAVE_S)
    # Its __del__ would do so again at exit, and fail in an interpreter half taken down.
    vars(engine)["shutdown"] = lambda: None


@contextmanager
def engine_environment(settings: EngineOptions, *, is_local: bool) -> Iterator[None]:
    """Set what vLLM reads from the environment alone. Whatever the user has set stays.

    What belongs to one engine is set while it starts, for its processes alone: the next engine
    of this process may have another cache, and a model to fetch.
    """
    for name, value in _OF_ALL.items():
        os.environ.setdefault(name, value)
    ours = {"VLLM_CPU_KVCACHE_SPACE": str(settings.cpu_kv_cache_gib)}
    if is_local:
        with suppress(ImportError):  # that vLLM is not there is for `start` to say
            import_module("huggingface_hub.constants")  # it reads the variable once a process
        ours["HF_HUB_OFFLINE"] = "1"
    ours = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


_OF_ALL = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # standard output is ours
    "VLLM_NO_USAGE_STATS": "1",
    # The engine's process would print warnings of other packages on our standard error.
    "PYTHONWARNINGS": "ignore",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}


def engine_args(settings: EngineOptions, path: str) -> AsyncEngineArgs:
    """Return vLLM's arguments for the settings of an engine."""
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform

    is_cpu = current_platform.is_cpu()
    extra = cpu_args(settings, path) if is_cpu else {}
    eager = is_cpu if settings.enforce_eager is None else settings.enforce_eager
    # A constraint then begins after the thought.
    parser = {"reasoning_parser": settings.reasoning} if is_parser(settings.reasoning) else {}
    lora = lora_arguments(settings.lora)
    options = dict(settings.engine)
    structured = structured_config(options.pop("structured_outputs_config", None))
    defaults = {
        "use_tqdm_on_load": False,
        "dtype": settings.dtype,
        "structured_outputs_config": structured,
        **extra,
        **parser,
        **lora,
    }
    return AsyncEngineArgs(
        model=path,
        revision=settings.revision,
        max_model_len=settings.max_model_len,
        max_num_seqs=settings.max_num_seqs,
        tensor_parallel_size=settings.tensor_parallel_size,
        distributed_executor_backend=settings.distributed_executor_backend,
        gpu_memory_utilization=settings.gpu_memory_utilization,
        enforce_eager=eager,
        enable_prefix_caching=settings.enable_prefix_caching,
        trust_remote_code=settings.trust_remote_code,
        disable_log_stats=False,  # the time to the first token comes from them
        **(defaults | options),
    )


def structured_config(chosen: object) -> StructuredOutputsConfig:
    """Return how constraints are enforced: by xgrammar and compact, unless the user chose.

    Left to itself, vLLM chooses by the first schema that it meets, for the whole life of the
    engine; and between two tokens of JSON a model may write white space up to its limit.
    """
    from vllm.config import StructuredOutputsConfig

    ours = {"backend": "xgrammar", "disable_any_whitespace": True}
    return StructuredOutputsConfig(**(chosen if isinstance(chosen, dict) else ours))


def cpu_args(settings: EngineOptions, path: str) -> dict[str, Any]:
    """Return what vLLM's CPU engine (0.32) needs, and what suits samples of one prompt.

    A prefill is never chunked: with a seed, a chunked one kills it. Its own blocks of 128 tokens
    are large: of a prompt only whole blocks are shared, and the rest is computed for each sample.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path, trust_remote_code=settings.trust_remote_code)
    longest = settings.max_model_len or config.max_position_embeddings
    is_quantized = hasattr(config, "quantization_config") or "quantization" in settings.engine
    return {
        "dtype": settings.dtype if is_quantized else cpu_dtype(settings.dtype),
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(2048, longest),
        "block_size": CPU_BLOCK_TOKENS,
    }


def cpu_dtype(dtype: str) -> str:
    """Return the type that this CPU computes in: where it has no bfloat16, "auto" is float32.

    Emulated, bfloat16 takes half the memory, of weights and KV cache, and in a batch four times the
    time. PyTorch has no public name for the question.
    """
    import torch

    known = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    has_bfloat16 = known is None or known()
    return "float32" if dtype == "auto" and not has_bfloat16 else dtype
