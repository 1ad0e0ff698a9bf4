"""`model.engine`: any argument of vLLM's engine reaches it, and is part of what a run is."""

from __future__ import annotations

import json
import pickle
from dataclasses import MISSING, fields, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from nbest import VLLM
from nbest.experiments.config.config import load_config
from nbest.model_backend.vllm.engine_options import (
    OURS,
    SECRETS,
    SETTINGS,
    SPEED_ALONE,
    argument_names,
)
from nbest.model_backend.vllm.processes.start import engine_args
from nbest.orchestrator.errors import InputError

# The name is looked up without an import: that takes 5 s in each process that collects tests.
pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="needs vllm")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the config of a model, and without the model."""
    folder = tmp_path_factory.mktemp("model")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    return str(folder)


def test_the_names_are_those_of_the_vllm_that_is_installed() -> None:
    from vllm import AsyncEngineArgs

    assert argument_names() == {field.name for field in fields(AsyncEngineArgs)}
    assert SETTINGS | SPEED_ALONE | set(SECRETS) <= argument_names()
    assert not SPEED_ALONE & (SETTINGS | OURS)


def another(value: bool | float | str) -> bool | float | str:
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


def test_every_argument_reaches_the_engine_and_makes_another_run(model: str) -> None:
    """Each switch, number and text of them, turned one by one."""
    from vllm import AsyncEngineArgs

    plain = engine_args(VLLM(model), model)
    turned = 0
    for field in fields(AsyncEngineArgs):
        value = getattr(plain, field.name)
        if field.name in SETTINGS | OURS | set(SECRETS) or field.default is MISSING:
            continue
        if not isinstance(value, bool | int | float | str):
            continue
        other = (
            not value
            if isinstance(value, bool)
            else f"{value}x"
            if value == str(value)
            else value + 1
        )
        settings = VLLM(model, engine={field.name: other})
        assert getattr(engine_args(settings, model), field.name) == other
        is_same_run = settings.identity == VLLM(model).identity
        assert is_same_run == (field.name in SPEED_ALONE), field.name
        turned += 1
    assert turned > 80


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quantization", "fp8"),
        ("kv_cache_dtype", "fp8"),
        ("enable_lora", True),
        ("speculative_config", {"method": "ngram", "num_speculative_tokens": 3}),
        ("hf_overrides", {"rope_theta": 1e6}),
    ],
)
def test_what_people_set_makes_another_run(name: str, value: object) -> None:
    identity = VLLM("m", engine={name: value}).identity
    assert identity[f"engine.{name}"] == json.dumps(value, sort_keys=True)
    assert identity != VLLM("m").identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quantisation": "fp8"},
            "vLLM has no argument 'quantisation'; did you mean 'quantization'",
        ),
        ({"enable_lorra": True}, "vLLM has no argument 'enable_lorra'; did you mean 'enable_lora'"),
        ({"dtype": "float16"}, "engine must leave dtype to the setting of that name"),
        ({"runner": "pooling"}, "engine must leave runner to nbest"),
        ({"hf_token": "x"}, "engine must hold no secret, got 'hf_token': set HF_TOKEN in the"),
    ],
)
def test_other_names_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        VLLM("m", engine=options)
    assert message in str(caught.value)
    assert "'x'" not in str(caught.value)  # no secret is shown


def test_every_part_of_an_engine_has_its_gpus() -> None:
    parts = {"pipeline_parallel_size": 2, "data_parallel_size": 3}
    assert VLLM("m", tensor_parallel_size=4, engine=parts).gpus == 24
    assert VLLM("m", tensor_parallel_size=4).gpus == 4


def test_settings_travel_and_are_compared() -> None:
    settings = VLLM("m", engine={"quantization": "fp8"})
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert settings != replace(settings, engine={})
    assert len({settings, VLLM("m")}) == 2


def test_a_config_passes_them_on(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "?", "answer": "7"}\n')
    text = (
        "name: x\ndataset: {kind: jsonl, path: q.jsonl}\nprompt: {template: '{question}'}\n"
        "model: {model: m, engine: {quantization: fp8}}\nselect: [vote]\n"
    )
    (tmp_path / "c.yaml").write_text(text)
    built = load_config(tmp_path / "c.yaml", []).model.build()
    assert built.identity["engine.quantization"] == '"fp8"'
    with pytest.raises(InputError, match="did you mean 'quantization'"):
        load_config(tmp_path / "c.yaml", ["model.engine={quantisation: fp8}"])


def test_constraints_are_enforced_by_one_library_and_compact_unless_the_user_chooses(
    model: str,
) -> None:
    chosen = {"structured_outputs_config": {"backend": "guidance"}}
    ours = engine_args(VLLM(model), model).structured_outputs_config
    users = engine_args(VLLM(model, engine=chosen), model).structured_outputs_config
    assert (ours.backend, ours.disable_any_whitespace) == ("xgrammar", True)
    assert (users.backend, users.disable_any_whitespace) == ("guidance", False)
