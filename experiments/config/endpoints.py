"""The model that options of a command name; a server that runs already: `--base-url`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from nbest.experiments.config.plugins import build_backend
from nbest.experiments.language.yaml_text import read_yaml
from nbest.model_backend.openai.settings import Endpoint, only_model
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.requirements import require
from nbest.orchestrator.tasks import wait_for

SMALL_MODEL = "smollm2-135m"


def served_model(base_url: str, model: str | None, api_key_env: str | None) -> Endpoint:
    """The endpoint at an address; without a name, the one model that is served there.

    InputError where several are served, BackendError where nothing answers.
    """
    endpoint = Endpoint(model or "unnamed", base_url=base_url, api_key_env=api_key_env)
    if model is not None:
        return endpoint
    return Endpoint(wait_for(only_model(endpoint)), base_url=base_url, api_key_env=api_key_env)


def chosen_model(
    backend: str, model: str | None, base_url: str | None, api_key_env: str | None
) -> BackendConfig:
    """The model that options name: at an address, or one that is started here.

    Without a name, the small model, or the one that the server serves.
    """
    if base_url is not None:
        require(backend == "vllm", "backend", "be left out with base_url", backend)
        return served_model(base_url, model, api_key_env)
    require(api_key_env is None, "api_key_env", "be given with base_url", api_key_env)
    is_named = backend == "vllm"
    return build_backend(backend, {"model": model or SMALL_MODEL} if is_named else {})


def without_seeds(model: BackendConfig) -> BackendConfig:
    """The model for one greedy reply a prompt: a server need not mind seeds for that."""
    return replace(model, seeds="none") if isinstance(model, Endpoint) else model


def endpoint_overrides(
    config: Path, base_url: str | None, model: str | None, api_key_env: str | None
) -> list[str]:
    """The assignments that put a server in the place of the model of a config, under its name.

    What an `openai` section has besides is kept. Of another section, what decides how fast an own
    engine is falls away; InputError names a key that decides what its samples say.
    """
    if base_url is None:
        for key, value in (("model", model), ("api_key_env", api_key_env)):
            require(value is None, key, "be given with base_url", value)
        return []
    section = _model_section(config)
    name = section.get("model")
    named = model or (name if isinstance(name, str) else None)
    endpoint = served_model(base_url, named, api_key_env)
    kept = _kept(section) | {
        "backend": "openai",
        "model": endpoint.model,
        "base_url": endpoint.base_url,
    }
    if api_key_env is not None:
        kept["api_key_env"] = api_key_env
    flow = yaml.safe_dump(kept, default_flow_style=True, width=10_000).strip()
    return [f"model={flow}"]


def _kept(section: Mapping[str, object]) -> dict[str, object]:
    """What a server can be told of a config's model."""
    if section.get("backend") == "openai":
        return dict(section)
    for key in ("chat_template", "reasoning", "engine", "revision", "dtype"):
        if section.get(key):
            rule = "be left out with base_url: the server decides it"
            raise InputError(f"model.{key} must {rule}, got {section[key]!r}")
    arguments = section.get("chat_template_kwargs")
    return {"body": {"chat_template_kwargs": arguments}} if arguments else {}


def _model_section(config: Path) -> Mapping[str, object]:
    raw = read_yaml(config).value
    section = raw.get("model") if isinstance(raw, Mapping) else None
    return section if isinstance(section, Mapping) else {}
