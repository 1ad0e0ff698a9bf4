"""A LoRA adapter over a model: weights trained for a task, that are added to those of the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbest.orchestrator.errors import InputError

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has kernels for


def lora_arguments(adapter: str | None) -> dict[str, Any]:
    """The arguments of an engine that serves an adapter.

    InputError where there is no such adapter, or its rank is above those that vLLM serves.
    """
    if adapter is None:
        return {}
    rank = _rank(adapter)
    fitting = [served for served in RANKS if served >= rank]
    if not fitting:
        raise InputError(f"lora must have a rank of at most {RANKS[-1]}, got {rank}")
    return {"enable_lora": True, "max_lora_rank": fitting[0]}


def lora_request(adapter: str | None) -> LoRARequest | None:
    """The adapter as requests name it."""
    if adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    path = str(Path(adapter).expanduser())
    return LoRARequest(lora_name="adapter", lora_int_id=1, lora_path=path)


def _rank(adapter: str) -> int:
    """The rank that an adapter's own configuration names."""
    file = Path(adapter).expanduser() / "adapter_config.json"
    try:
        rank = json.loads(file.read_text(encoding="utf-8"))["r"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        rule = "be the folder of an adapter, with the rank r in its adapter_config.json"
        raise InputError(f"lora must {rule}, got {adapter!r} ({type(error).__name__})") from error
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise InputError(f"lora must have a rank r of at least 1, got {rank!r}")
    return rank
