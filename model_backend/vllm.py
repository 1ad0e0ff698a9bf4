"""vLLM as a backend: one engine in this process, one request one sample.

vLLM turns a request for n samples into n requests anyway. Asking for one each gives every sample
its own seed, its own abort and its own moment of being stored; the prompt is computed once all the
same, by prefix caching.

It knows no Ray, no store and no scorer. vLLM and torch are imported when an engine starts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from model_backend.models import resolve_model
from model_backend.vllm_requests import sample_of, vllm_params
from orchestrator.aborts import EarlyAborts, cancelled
from orchestrator.errors import BackendError, EngineDead, InputError, Overloaded, RequestRejected
from orchestrator.types import Message, Request, Sample, require

if TYPE_CHECKING:
    from vllm import AsyncEngineArgs, RequestOutput
    from vllm.tokenizers import TokenizerLike
    from vllm.v1.engine.async_llm import AsyncLLM

# An abort may overtake its request on its way into the engine, which then ignores it; so it is
# repeated at this interval until the request has come back.
ABORT_AGAIN_S = 0.02

# vLLM may answer a wrong setting with the list of all models that it knows.
SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class VLLM:
    """Settings of a vLLM engine, under vLLM's own names.

    Example: `VLLM("smollm2-135m")`, `VLLM("Qwen/Qwen3-8B", tensor_parallel_size=2)`
    """

    model: str  # "smollm2-135m", a folder, or a hub id
    _: KW_ONLY
    dtype: str = "auto"
    max_model_len: int | None = None  # tokens of prompt and answer together; None: the model's own
    max_num_seqs: int = 128  # samples that decode at once
    tensor_parallel_size: int = 1  # GPUs an engine
    gpu_memory_utilization: float = 0.9  # share of a GPU's memory; without a GPU it has no meaning
    cpu_kv_cache_gib: int = 1  # GiB for the KV cache of an engine without a GPU
    enforce_eager: bool | None = None  # None: eager without a GPU, where compiling never pays
    enable_prefix_caching: bool = True
    revision: str | None = None  # of a model from a hub
    trust_remote_code: bool = False  # run Python that comes with the model

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

    @property
    def max_concurrency(self) -> int:
        return self.max_num_seqs

    @property
    def gpus(self) -> int:
        return self.tensor_parallel_size

    @property
    def identity(self) -> dict[str, str | int | None]:
        return {
            "model": self.model,
            "revision": self.revision,
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
        }

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[VLLMEngine]:
        """Start the engine (half a minute for a small model), and stop it at the end."""
        engine = await asyncio.to_thread(start, self)
        try:
            yield VLLMEngine(engine, name)
        finally:
            engine.shutdown()
            # Its __del__ would do so again at exit, and fail in an interpreter half taken down.
            vars(engine)["shutdown"] = lambda: None


def start(settings: VLLM) -> AsyncLLM:
    """Load the model; returns when the engine answers."""
    path = resolve_model(settings.model)
    prepare_environment(settings, is_local=os.path.isdir(path))
    try:
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise InputError(
            f"backend must be installed: pip install 'nbest[cuda]' or 'nbest[cpu]', got {error}"
        ) from error
    try:
        return AsyncLLM.from_engine_args(engine_args(settings, path))
    except (ValueError, OSError) as error:
        raise InputError(
            f"model {settings.model!r} cannot be served: {complaint(error)}"
        ) from error
    except RuntimeError as error:  # of the engine's own process, which has said more
        raise BackendError(
            f"model {settings.model!r} cannot be served: {first_line(error)}"
        ) from error


def prepare_environment(settings: VLLM, *, is_local: bool) -> None:
    """What vLLM reads from the environment alone. Whatever the user has set himself stays."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(settings.cpu_kv_cache_gib))
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # The engine's process would print other people's warnings on our standard error.
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if is_local:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def engine_args(settings: VLLM, path: str) -> AsyncEngineArgs:
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform

    is_cpu = current_platform.is_cpu()
    extra = cpu_args(settings, path) if is_cpu else {}
    eager = is_cpu if settings.enforce_eager is None else settings.enforce_eager
    return AsyncEngineArgs(
        model=path,
        revision=settings.revision,
        dtype=settings.dtype,
        max_model_len=settings.max_model_len,
        max_num_seqs=settings.max_num_seqs,
        tensor_parallel_size=settings.tensor_parallel_size,
        gpu_memory_utilization=settings.gpu_memory_utilization,
        enforce_eager=eager,
        enable_prefix_caching=settings.enable_prefix_caching,
        trust_remote_code=settings.trust_remote_code,
        use_tqdm_on_load=False,
        disable_log_stats=False,  # the time to the first token comes from them
        **extra,
    )


def cpu_args(settings: VLLM, path: str) -> dict[str, Any]:
    """Never chunk a prefill there: with a seed, a chunked one kills vLLM's CPU engine (0.32)."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path, trust_remote_code=settings.trust_remote_code)
    longest = settings.max_model_len or config.max_position_embeddings
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": max(2048, longest)}


class VLLMEngine:
    """A live vLLM engine."""

    def __init__(self, engine: AsyncLLM, name: str = "") -> None:
        self._engine = engine
        self._name = name
        self._live: set[str] = set()
        self._early = EarlyAborts()
        # The N samples of a query share a prompt: it is rendered and tokenized once.
        self._token_ids = lru_cache(maxsize=1024)(partial(tokenize, engine.get_tokenizer()))

    @property
    def num_unfinished(self) -> int:
        """How many requests the engine itself still works on or keeps waiting."""
        return int(self._engine.get_num_unfinished_requests())

    async def generate(self, request: Request) -> Sample:
        if self._early.take(request.id):
            return cancelled(request)
        self._live.add(request.id)
        started_s = time.monotonic()
        try:
            output = await self._run(request)
        except Exception as error:
            raise backend_error(error) from error
        finally:
            self._live.discard(request.id)
        return sample_of(request, output, time.monotonic() - started_s, self._name)

    async def abort(self, request_id: str) -> None:
        if request_id not in self._live:
            return self._early.add(request_id)
        while request_id in self._live:
            await self._engine.abort(request_id)
            await asyncio.sleep(ABORT_AGAIN_S)

    async def _run(self, request: Request) -> RequestOutput:
        prompt = {"prompt_token_ids": list(self._token_ids(request.prompt))}
        final: RequestOutput | None = None
        async for output in self._engine.generate(prompt, vllm_params(request), request.id):
            final = output
        if final is None:
            raise EngineDead(f"the engine ended {request.id} without an output")
        return final


def tokenize(tokenizer: TokenizerLike, prompt: str | tuple[Message, ...]) -> tuple[int, ...]:
    """The token ids of a raw prompt, or of a chat in the model's own template."""
    if isinstance(prompt, str):
        return tuple(tokenizer.encode(prompt))
    turns = [{"role": m.role, "content": m.content} for m in prompt]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    # The template has written the special tokens itself.
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def backend_error(error: Exception) -> BackendError:
    """vLLM's exceptions in our terms."""
    from vllm.exceptions import (
        GracefulHTTPError,
        RetryableRequestError,
        VLLMClientError,
    )
    from vllm.v1.engine.exceptions import EngineDeadError

    if isinstance(error, BackendError):
        return error
    if isinstance(error, EngineDeadError):
        return EngineDead(first_line(error))
    if isinstance(error, GracefulHTTPError | RetryableRequestError):
        return Overloaded(first_line(error))
    if isinstance(error, VLLMClientError | ValueError | TypeError):
        return RequestRejected(first_line(error))
    return BackendError(f"{type(error).__name__}: {first_line(error)}")


def complaint(error: Exception) -> str:
    """What is wrong with a setting; the first line of a pydantic error only counts what is."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return first_line(error)
    detail = error.errors(include_url=False)[0]
    key = f"{detail['loc'][0]}: " if detail["loc"] else ""
    return f"{key}{detail['msg'].removeprefix('Value error, ')}".splitlines()[0][:SHOWN_CHARACTERS]


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
