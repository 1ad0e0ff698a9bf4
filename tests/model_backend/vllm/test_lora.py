"""LoRA adapters: their settings, and one over the real model."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from nbest.model_backend.vllm.lora import lora_arguments, lora_request
from nbest.model_backend.vllm.settings import VLLM
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Request, Sample, model_key

LAYERS, WIDTH = 30, 576  # of SmolLM2-135M


def adapter(folder: Path, config: object) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.mark.parametrize(("rank", "served"), [(1, 1), (4, 8), (8, 8), (17, 32), (512, 512)])
def test_the_engine_serves_the_next_rank(rank: int, served: int, tmp_path: Path) -> None:
    arguments = lora_arguments(adapter(tmp_path, {"r": rank}))
    assert arguments == {"enable_lora": True, "max_lora_rank": served}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"r": 600}, "lora must have a rank of at most 512, got 600"),
        ({"r": 0}, "lora must have a rank r of at least 1, got 0"),
        ({"r": "8"}, "lora must have a rank r of at least 1, got '8'"),
        ({"r": True}, "lora must have a rank r of at least 1, got True"),
        ({}, "lora must be the folder of an adapter"),
        ([8], "lora must be the folder of an adapter"),
    ],
)
def test_what_is_no_adapter_is_refused(config: object, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        lora_arguments(adapter(tmp_path, config))
    assert str(caught.value).startswith(complaint)


def test_a_folder_that_is_not_there_is_refused_when_the_engine_starts(tmp_path: Path) -> None:
    settings = VLLM("m", lora=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="lora must be the folder of an adapter"):
        lora_arguments(settings.lora)
    with pytest.raises(InputError, match="lora must be the folder of an adapter, got ''"):
        VLLM("m", lora="")


def test_without_an_adapter_nothing_changes() -> None:
    assert lora_arguments(None) == {}
    assert lora_request(None) is None
    assert "lora" not in VLLM("m").identity


def test_an_adapter_that_is_trained_anew_is_another_model(tmp_path: Path) -> None:
    """The settings that are there already keep the digest that they were made with."""
    path = adapter(tmp_path, {"r": 8})
    before = VLLM("m", lora=path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    after = VLLM("m", lora=path)
    keys = {model_key(settings.identity) for settings in (VLLM("m"), before, after)}
    assert len(keys) == 3
    assert before.identity["lora_digest"] == before.lora_digest != after.lora_digest


def write_weights(folder: Path) -> None:
    """Weights that change what the model says beyond doubt, of two projections of each layer."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    weights = {}
    for layer in range(LAYERS):
        for name, out in {"q_proj": WIDTH, "v_proj": WIDTH // 3}.items():
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{key}.lora_A.weight"] = torch.randn(4, WIDTH, generator=generator) * 0.05
            weights[f"{key}.lora_B.weight"] = torch.randn(out, 4, generator=generator) * 0.3
    save_file(weights, folder / "adapter_model.safetensors")


async def drawn(settings: VLLM) -> list[Sample]:
    params = SamplingParams(temperature=0.0, max_tokens=8)
    prompt = "The capital of France is"
    async with settings.open() as engine:
        ids = ("r/q/s0", "r/q/s1")
        requests = [Request(id=i, prompt=prompt, params=params, seed=1) for i in ids]
        return list(await asyncio.gather(*map(engine.generate, requests)))


@pytest.mark.engine
# Engines of other tests leave vLLM's own sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function Context.__del__")
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
async def test_the_real_model_speaks_by_its_adapter(tmp_path: Path) -> None:
    """The model itself says Paris; the adapter is noise, so that it cannot."""
    modules = {"target_modules": ["q_proj", "v_proj"], "peft_type": "LORA", "bias": "none"}
    path = adapter(tmp_path, {"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM", **modules})
    write_weights(tmp_path)
    first, second = await drawn(VLLM("smollm2-135m", lora=path))
    assert first.text == second.text
    assert first.generated_tokens == 8
    assert "Paris" not in first.text
