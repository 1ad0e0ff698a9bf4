"""Arguments of vLLM's engine that have no setting of their own here: `model.engine` passes them on.

Their names are read in the source of the vLLM that is installed, for to import it takes ten seconds
and a config is checked in one.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import did_you_mean

# What `VLLM` has a field for, under the same name: one setting has one place.
SETTINGS = frozenset(
    {
        *("model", "dtype", "max_model_len", "max_num_seqs", "tensor_parallel_size"),
        *("distributed_executor_backend", "gpu_memory_utilization", "enforce_eager"),
        *("enable_prefix_caching", "revision", "trust_remote_code"),
    }
)
# What nbest itself decides: how an engine is run, and what it reports.
OURS = frozenset({"runner", "logging_config", "log_config_file", "log_level", "disable_log_stats"})
SECRETS = {"hf_token": "HF_TOKEN"}  # they would be stored with the run
# Arguments that decide how fast samples come, and not what they say. All others are part of what a
# run is: samples of another quantization do not go on with it.
SPEED_ALONE = frozenset(
    {
        *("async_scheduling", "cpu_offload_gb", "cudagraph_capture_sizes", "download_dir"),
        *("enable_log_requests", "enable_sleep_mode", "kv_cache_memory_bytes", "kv_cache_metrics"),
        *("kv_cache_metrics_sample", "kv_offloading_size", "max_cpu_loras"),
        *("max_cudagraph_capture_size", "max_num_batched_tokens", "max_num_scheduled_tokens"),
        *("max_parallel_loading_workers", "num_gpu_blocks_override", "otlp_traces_endpoint"),
        *("prefix_caching_hash_algo", "pt_load_map_location", "renderer_num_workers"),
        *("safetensors_load_strategy", "safetensors_prefetch_block_size"),
        *("safetensors_prefetch_num_threads", "scheduling_policy", "shutdown_timeout"),
        *("stream_interval", "use_tqdm_on_load"),
    }
)


def check_engine_options(options: Mapping[str, object]) -> None:
    """Raise InputError for an argument that vLLM has not, or that has another place.

    Without vLLM on this machine all names pass: the engine refuses them when it starts.
    """
    for name in options:
        if name in SETTINGS:
            raise InputError(f"engine must leave {name} to the setting of that name, got {name!r}")
        if name in OURS:
            raise InputError(f"engine must leave {name} to nbest, got {name!r}")
        if name in SECRETS:
            raise InputError(
                f"engine must hold no secret, got {name!r}: set {SECRETS[name]} in the environment"
            )
        known = argument_names()
        if known and name not in known:
            raise InputError(f"engine: vLLM has no argument {name!r}{did_you_mean(name, known)}")


@cache
def argument_names() -> frozenset[str]:
    """The arguments of the engine of the vLLM that is installed; none where there is none."""
    return frozenset(
        field.target.id
        for node in installed_source("engine", "arg_utils.py").body
        if isinstance(node, ast.ClassDef) and node.name in ("EngineArgs", "AsyncEngineArgs")
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )


def installed_source(*place: str) -> ast.Module:
    """A file of the vLLM that is installed, parsed and not run; empty where there is none."""
    try:
        spec = find_spec("vllm")
    except ValueError:  # a module that stands in for it
        spec = None
    if spec is None or spec.origin is None:
        return ast.Module(body=[], type_ignores=[])
    source = Path(spec.origin).parent.joinpath(*place)
    return ast.parse(source.read_text(encoding="utf-8"))


def identity_of(options: Mapping[str, object]) -> dict[str, str]:
    """The arguments that decide what samples say, as JSON texts by `engine.NAME`."""
    return {
        f"engine.{name}": json.dumps(value, sort_keys=True, default=str)
        for name, value in sorted(options.items())
        if name not in SPEED_ALONE
    }
