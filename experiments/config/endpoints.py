"""A server that runs already in the place of a config's model: `--base-url`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from nbest.experiments.language.yaml_text import read_yaml
from nbest.model_backend.openai.settings import Endpoint, only_model
from nbest.orchestrator.requirements import require
from nbest.orchestrator.tasks import wait_for


def served_model(base_url: str, model: str | None, api_key_env: str | None) -> Endpoint:
    """The endpoint at an address; without a name, the one model that is served there.

    InputError where several are served, BackendError where nothing answers.
    """
    endpoint = Endpoint(model or "unnamed", base_url=base_url, api_key_env=api_key_env)
    if model is not None:
        return endpoint
    return Endpoint(wait_for(only_model(endpoint)), base_url=base_url, api_key_env=api_key_env)


def endpoint_overrides(
    config: Path, base_url: str | None, model: str | None, api_key_env: str | None
) -> list[str]:
    """The assignments that put a server in the place of the model of a config, under its name."""
    if base_url is None:
        for key, value in (("model", model), ("api_key_env", api_key_env)):
            require(value is None, key, "be given with base_url", value)
        return []
    named = model or _model_of(config)
    endpoint = served_model(base_url, named, api_key_env)
    section = {"backend": "openai", "model": endpoint.model, "base_url": endpoint.base_url}
    if api_key_env is not None:
        section["api_key_env"] = api_key_env
    flow = yaml.safe_dump(section, default_flow_style=True, width=10_000).strip()
    return [f"model={flow}"]


def _model_of(config: Path) -> str | None:
    """The name of a config's model, where it is one that a server may have."""
    raw = read_yaml(config).value
    section = raw.get("model") if isinstance(raw, Mapping) else None
    name = section.get("model") if isinstance(section, Mapping) else None
    return name if isinstance(name, str) else None
