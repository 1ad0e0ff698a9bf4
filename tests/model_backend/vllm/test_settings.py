"""The settings of a vLLM engine: each has a rule or none, and each changes the engine.

Promise 6 for `VLLM`, and promise 10. No engine is started, and no model is loaded.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbest import VLLM
from nbest.model_backend.vllm.processes.stall import Stall, StepLogger
from nbest.model_backend.vllm.processes.start import (
    cpu_args,
    cpu_dtype,
    engine_args,
    engine_environment,
    start,
    stat_loggers,
)
from nbest.orchestrator.errors import InputError, first_line

OURS = (
    "VLLM_LOGGING_LEVEL",
    "VLLM_LOGGING_STREAM",
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_NO_USAGE_STATS",
    "HF_HUB_OFFLINE",
)

REFUSED: list[tuple[str, object, str]] = [
    ("model", "", "model must be named, got ''"),
    ("max_model_len", 1, "max_model_len must be at least 2, got 1"),
    ("max_num_seqs", 0, "max_num_seqs must be at least 1, got 0"),
    ("tensor_parallel_size", 0, "tensor_parallel_size must be at least 1, got 0"),
    ("gpu_memory_utilization", 0.0, "gpu_memory_utilization must lie in (0, 1], got 0.0"),
    ("gpu_memory_utilization", 1.1, "gpu_memory_utilization must lie in (0, 1], got 1.1"),
    ("cpu_kv_cache_gib", 0, "cpu_kv_cache_gib must be at least 1, got 0"),
    ("stall_s", 0.0, "stall_s must be above 0, got 0.0"),
]

# Another value for every setting but the model.
OTHER: dict[str, object] = {
    "dtype": "float16",
    "max_model_len": 5000,
    "max_num_seqs": 7,
    "tensor_parallel_size": 2,
    "distributed_executor_backend": "ray",
    "gpu_memory_utilization": 0.5,
    "cpu_kv_cache_gib": 3,
    "enable_prefix_caching": False,
    "revision": "refs/pr/1",
    "trust_remote_code": True,
}


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Whatever a test writes into the environment of this process is taken out again."""
    before = dict(os.environ)
    for name in OURS:
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the config of a model, and without the model."""
    pytest.importorskip("vllm")
    folder = tmp_path_factory.mktemp("model")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    text = json.dumps(config | {"max_position_embeddings": 4096})
    (folder / "config.json").write_text(text)
    return str(folder)


def effect(settings: VLLM, path: str) -> dict[str, object]:
    """Return what an engine with these settings is started with: arguments and environment."""
    for name in OURS:
        os.environ.pop(name, None)
    with engine_environment(settings, is_local=False):
        arguments = engine_args(settings, path)
        shown = {f.name: repr(getattr(arguments, f.name)) for f in fields(arguments)}
        return shown | {name: os.environ.get(name) for name in OURS}


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_a_value_that_makes_no_sense_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(VLLM("m"), **{key: value})  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_the_ends_of_the_ranges_are_allowed() -> None:
    VLLM("m", max_model_len=2, max_num_seqs=1, gpu_memory_utilization=1.0, cpu_kv_cache_gib=1)


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_changes_the_engine(name: str, model: str) -> None:
    before = effect(VLLM(model), model)
    after = effect(replace(VLLM(model), **{name: OTHER[name]}), model)  # type: ignore[arg-type]
    changed = {key for key in after if after[key] != before[key]}
    expected = {"cpu_kv_cache_gib": "VLLM_CPU_KVCACHE_SPACE"}.get(name, name)
    assert changed - {"max_num_batched_tokens"} == {expected}
    shown = str(OTHER[name]) if name in ("cpu_kv_cache_gib",) else repr(OTHER[name])
    assert after[expected] == shown


def test_eager_or_not_is_the_engines_choice_until_it_is_the_users(model: str) -> None:
    from vllm.platforms import current_platform

    eager = {
        v: engine_args(VLLM(model, enforce_eager=v), model).enforce_eager for v in (True, False)
    }
    assert eager == {True: True, False: False}
    default = engine_args(VLLM(model), model).enforce_eager
    assert default == current_platform.is_cpu()


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_a_cpu_without_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    """A type that the user names stays, and so does that of a quantized model."""
    torch = pytest.importorskip("torch")
    ops = SimpleNamespace(_is_mkldnn_bf16_supported=lambda: has_bfloat16)
    monkeypatch.setattr(torch.ops, "mkldnn", ops)
    assert cpu_dtype("auto") == ("auto" if has_bfloat16 else "float32")
    assert cpu_dtype("bfloat16") == "bfloat16"


def test_a_quantized_model_keeps_its_type(model: str, tmp_path: Path) -> None:
    settings = VLLM(model, engine={"quantization": "awq"})
    assert cpu_args(settings, model)["dtype"] == "auto"
    config = json.loads((Path(model) / "config.json").read_text())
    config |= {"quantization_config": {"quant_method": "awq"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cpu_args(VLLM(str(tmp_path)), str(tmp_path))["dtype"] == "auto"


def test_the_model_is_the_path_that_its_name_leads_to(model: str) -> None:
    assert engine_args(VLLM("any name"), model).model == model


def test_no_setting_is_without_a_test() -> None:
    names = {f.name for f in fields(VLLM)} - {"_"}
    tested_elsewhere = {"engine", "reasoning", "chat_template", "chat_template_kwargs"}
    tested_elsewhere |= {"lora", "lora_digest"}  # test_lora.py
    assert names == {*OTHER, *tested_elsewhere, "model", "enforce_eager", "stall_s", "ray_metrics"}


def test_the_stall_time_is_that_of_the_watchdog() -> None:
    """A stall time for ever is allowed; test_stall.py and test_faults.py go on."""
    assert {Stall(VLLM("m", stall_s=s).stall_s, 0.0).wait_s(0.0) for s in (5.0, 7.0)} == {5.0, 7.0}
    assert VLLM("m", stall_s=float("inf")).stall_s == float("inf")


def test_the_step_logger_is_one_of_vllms_stat_loggers() -> None:
    ours = StepLogger(lambda: None)
    (factory,) = stat_loggers(VLLM("m"), ours)
    assert factory(None, 0) is ours  # type: ignore[arg-type, call-arg]


def test_metrics_through_ray_are_vllms_own_where_ray_serve_is_there() -> None:
    wrappers = pytest.importorskip("vllm.v1.metrics.ray_wrappers")
    settings = VLLM("m", ray_metrics=True)
    if wrappers.ray_metrics is not None:
        assert stat_loggers(settings, None) == [wrappers.RayPrometheusStatLogger]
        return
    with pytest.raises(InputError) as caught:
        stat_loggers(settings, None)
    assert str(caught.value) == (
        "ray_metrics must be off where Ray Serve cannot be imported "
        "(pip install grpcio-reflection), got True"
    )


@pytest.mark.parametrize("length", [None, 512, 5000])
def test_without_a_gpu_no_prompt_is_cut_into_chunks(length: int | None, model: str) -> None:
    """A chunked prefill with a seed kills vLLM's CPU engine, so a whole prompt fits a step."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        pytest.skip("there is a GPU")
    arguments = engine_args(VLLM(model, max_model_len=length), model)
    assert arguments.enable_chunked_prefill is False
    assert arguments.max_num_batched_tokens >= (length or 4096)
    assert arguments.max_num_batched_tokens >= 2048
    assert arguments.block_size == 32  # vLLM's own 128 would share less of a prompt


def test_statistics_are_on_for_the_time_to_the_first_token_comes_from_them(model: str) -> None:
    assert engine_args(VLLM(model), model).disable_log_stats is False


def test_what_the_user_has_set_in_the_environment_stays() -> None:
    os.environ["VLLM_LOGGING_LEVEL"] = "DEBUG"
    os.environ["VLLM_LOGGING_STREAM"] = "ext://sys.stdout"
    os.environ["HF_HUB_OFFLINE"] = "0"
    with engine_environment(VLLM("m", cpu_kv_cache_gib=2), is_local=True):
        during = {name: os.environ[name] for name in OURS}
    assert os.environ["HF_HUB_OFFLINE"] == "0"
    assert during == {
        "VLLM_LOGGING_LEVEL": "DEBUG",
        "VLLM_LOGGING_STREAM": "ext://sys.stdout",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "0",
    }


def test_standard_output_is_not_vllms() -> None:
    """It would log there; with --json, it holds one document and nothing else."""
    with engine_environment(VLLM("m"), is_local=False):
        assert os.environ["VLLM_LOGGING_STREAM"] == "ext://sys.stderr"


def test_only_a_model_on_disk_is_loaded_without_the_hub() -> None:
    with engine_environment(VLLM("./model"), is_local=True):
        assert os.environ["HF_HUB_OFFLINE"] == "1"
    with engine_environment(VLLM("org/model"), is_local=False):
        assert "HF_HUB_OFFLINE" not in os.environ


def test_each_engine_of_a_process_has_its_own_cache() -> None:
    for gib in (1, 3, 2):
        with engine_environment(VLLM("m", cpu_kv_cache_gib=gib), is_local=True):
            assert os.environ["VLLM_CPU_KVCACHE_SPACE"] == str(gib)
        assert "VLLM_CPU_KVCACHE_SPACE" not in os.environ


@pytest.mark.parametrize(
    ("change", "is_another_model"),
    [
        ({"model": "other"}, True),
        ({"dtype": "float32"}, True),
        ({"max_model_len": 99}, True),
        ({"revision": "abc"}, True),
        ({"max_num_seqs": 9}, False),
        ({"tensor_parallel_size": 2}, False),
        ({"gpu_memory_utilization": 0.5}, False),
        ({"enable_prefix_caching": False}, False),
        ({"stall_s": 9.0}, False),
        ({"ray_metrics": True}, False),
    ],
)
def test_identity_is_what_decides_the_samples(
    change: dict[str, object], is_another_model: bool
) -> None:
    """A run may go on with more memory, and not with another model."""
    before, after = VLLM("m"), replace(VLLM("m"), **change)  # type: ignore[arg-type]
    assert (before.identity != after.identity) == is_another_model


def test_what_the_cluster_asks_for() -> None:
    settings = VLLM("m", max_num_seqs=17, tensor_parallel_size=4)
    assert (settings.max_concurrency, settings.gpus) == (17, 4)


def test_settings_travel_and_their_repr_says_all() -> None:
    settings = VLLM("m", max_num_seqs=17)
    assert pickle.loads(pickle.dumps(settings)) == settings
    for f in fields(VLLM):
        if f.name != "_":
            assert f"{f.name}={getattr(settings, f.name)!r}" in repr(settings)


def test_a_model_that_is_no_model_is_wrong_input_before_vllm_is_imported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder that holds config"):
        start(VLLM(str(tmp_path)))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"max_model_len": 10**6}, "User-specified max_model_len (1000000) is greater than"),
        ({"dtype": "float7"}, "dtype: Input should be 'auto', 'half',"),
    ],
)
def test_a_setting_that_the_model_does_not_allow_is_wrong_input_with_its_name(
    setting: dict[str, object], complaint: str, model: str
) -> None:
    with pytest.raises(InputError) as caught:
        start(replace(VLLM(model), **setting))  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(f"model {model!r} cannot be served: {complaint}")
    assert message.isprintable()


STAND_IN = """
import sys
from types import ModuleType

class Engine:
    @classmethod
    def from_engine_args(cls, arguments, stat_loggers):
        raise RuntimeError("Engine core initialization failed.\\nMore of it.")

class Platform:
    def is_cpu(self): return False

vllm, config, core, platforms = map(ModuleType, ("vllm", "config", "core", "platforms"))
class Arguments:
    def __init__(self, **given): pass

vllm.AsyncEngineArgs = config.StructuredOutputsConfig = Arguments
core.AsyncLLM, platforms.current_platform = Engine, Platform()
sys.modules.update({"vllm": vllm, "vllm.config": config, "vllm.v1": vllm, "vllm.v1.engine": vllm})
sys.modules.update({"vllm.v1.engine.async_llm": core, "vllm.platforms": platforms})
"""


@pytest.mark.parametrize(
    ("prelude", "line"),
    [
        (
            "import sys; sys.modules['vllm'] = None",  # as if not installed
            "InputError: backend must be installed: pip install 'nbest[cuda]' or 'nbest[cpu]', got",
        ),
        (STAND_IN, "BackendError: model {!r} cannot be served: Engine core initialization failed."),
    ],
    ids=["not installed", "its process fails"],
)
def test_an_engine_that_cannot_start_is_one_line(prelude: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    program = f"""
{prelude}
from nbest.model_backend.vllm.settings import VLLM
from nbest.model_backend.vllm.processes.start import start
from nbest.orchestrator.errors import NbestError
try:
    start(VLLM({str(tmp_path)!r}))
except NbestError as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    (message,) = process.stdout.splitlines()
    assert message.startswith(line.format(str(tmp_path)))


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("a\nb"), "a"), (ValueError("\n a"), "a"), (OSError(), "OSError")],
)
def test_of_a_long_message_the_first_line_is_told(error: Exception, line: str) -> None:
    assert first_line(error) == line
