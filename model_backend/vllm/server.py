"""vLLM's own server, with the engine that our settings describe: for tests and comparisons.

As a command, `python -m nbest.model_backend.vllm.server PORT SETTINGS`, it serves until it is
ended; SETTINGS are those of `VLLM`, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, fields
from typing import Any

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.vllm.processes.orphans import kill_tree
from nbest.model_backend.vllm.processes.start import cpu_args, engine_environment
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.errors import BackendError
from nbest.orchestrator.requirements import require

HOST = "127.0.0.1"
START_S = 300.0  # within which a server is up, or never
LOOK_S = 0.5


@asynccontextmanager
async def vllm_server(settings: VLLM) -> AsyncIterator[str]:
    """Start a server on a free port, yield its `base_url` when it answers, and end it."""
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nbest.model_backend.vllm.server"),
            *(str(port), json.dumps(_as_plain(settings))),
            stdout=log,
            stderr=log,
        )
        try:
            if not await _answers(process, port):
                log.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                raise BackendError(f"vLLM's server did not start: {lines[-1] if lines else ''}")
            yield f"http://{HOST}:{port}/v1"
        finally:
            kill_tree(process.pid)
            await process.wait()


async def _answers(process: asyncio.subprocess.Process, port: int) -> bool:
    """Wait until the server answers; False if it ends before, or takes too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    return True
                await asyncio.sleep(LOOK_S)
    return False


def _as_plain(settings: VLLM) -> dict[str, Any]:
    """The settings that `VLLM` is made from, by name."""
    plain = asdict(settings)
    return {setting.name: plain[setting.name] for setting in fields(settings) if setting.init}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def server_arguments(settings: VLLM, port: int) -> list[str]:
    """The command line of vLLM's server."""
    from vllm.platforms import current_platform

    require(settings.lora is None, "lora", "be left out of a server's settings", settings.lora)
    path = resolve_model(settings.model)
    is_cpu = current_platform.is_cpu()
    values: dict[str, Any] = {
        "model": path,
        "served_model_name": settings.model,
        "host": HOST,
        "port": port,
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "enforce_eager": is_cpu if settings.enforce_eager is None else settings.enforce_eager,
        "enable_prefix_caching": settings.enable_prefix_caching,
        "enable_prompt_tokens_details": True,
        **(cpu_args(settings, path) if is_cpu else {}),
        **settings.engine,
    }
    return [part for name, value in values.items() for part in _flag(name, value)]


def _flag(name: str, value: object) -> list[str]:
    dashed = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    return [f"--{dashed}", value if isinstance(value, str) else json.dumps(value)]


def _serve(port: str, text: str) -> None:
    settings = VLLM(**json.loads(text))
    module = "vllm.entrypoints.openai.api_server"
    is_local = os.path.isdir(resolve_model(settings.model))
    with engine_environment(settings, is_local=is_local):
        sys.argv = [module, *server_arguments(settings, int(port))]
        runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    _serve(*sys.argv[1:])
