"""What an endpoint may be told, and what of it decides what a run is."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from nbest.model_backend.openai.opening import kind_of
from nbest.model_backend.openai.requests import Server
from nbest.model_backend.openai.settings import Endpoint
from nbest.orchestrator.errors import InputError

URL = "http://localhost:8000/v1"


@pytest.mark.parametrize("url", [URL, URL + "/", URL + "/chat/completions", URL + "/completions"])
def test_the_address_is_taken_in_every_form_that_people_copy(url: str) -> None:
    assert Endpoint("m", base_url=url).base_url == URL


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"base_url": "localhost:8000"}, "base_url must be an address"),
        ({"base_url": "ftp://x/v1"}, "base_url must be an address"),
        ({"base_url": "http://x:99999999/v1"}, "base_url must be an address"),
        ({"base_url": "http://user:hunter2@x/v1"}, "base_url must hold no user, key"),
        ({"base_url": "http://x/v1?key=hunter2"}, "base_url must hold no user, key"),
        ({"base_url": "user:hunter2@x/v1"}, "base_url must be an address"),
        ({"base_url": "https:/user:hunter2@x"}, "base_url must be an address"),
        ({"base_url": "http://user:hunter2/a@x/v1"}, "base_url must"),
        ({"api_key_env": "sk-hunter2"}, "api_key_env must be the name"),
        ({"api_key_env": "gsk_hunter2"}, "api_key_env must be the name"),
        ({"body": {"extra": [{"access_token": "hunter2"}]}}, "body must hold no secret"),
        ({"body": {"token": "hunter2"}}, "body must hold no secret"),
        ({"seeds": "None"}, "seeds must be one of checked, trusted, none"),
        ({"reasoning": "qwen3"}, "reasoning must be tags, none or two tags"),
        ({"server": "vLLM"}, "server must be one of auto"),
        ({"max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"read_timeout_s": 0}, "read_timeout_s must be above 0"),
        ({"patience_s": -1}, "patience_s must be at least 0"),
        ({"body": {"temperature": 1}}, "body must leave temperature"),
        ({"body": {"API-Key": "hunter2"}}, "body must hold no secret"),
        ({"model": ""}, "model must be named"),
    ],
)
def test_a_wrong_setting_is_told_without_any_secret(settings: dict[str, Any], what: str) -> None:
    given: dict[str, Any] = {"model": "m", "base_url": URL} | settings
    with pytest.raises(InputError, match=what) as caught:
        Endpoint(given.pop("model"), **given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"base_url": "http://other/v1"}, True),
        ({"revision": "2026-11"}, True),
        ({"server": "vllm"}, True),
        ({"seeds": "none"}, True),
        ({"reasoning": "none"}, True),
        ({"reasoning": "<plan> </plan>"}, True),
        ({"body": {"reasoning_effort": "low"}}, True),
        ({"seeds": "trusted"}, False),
        ({"api_key_env": "MY_KEY"}, False),
        ({"max_concurrency": 8}, False),
        ({"stream": False}, False),
        ({"connect_timeout_s": 1.0}, False),
        ({"read_timeout_s": 1.0}, False),
        ({"patience_s": 1.0}, False),
    ],
)
def test_what_decides_what_a_run_is(settings: dict[str, Any], changes: bool) -> None:
    plain: dict[str, Any] = {"base_url": URL}
    before = Endpoint("m", **plain).identity
    assert (Endpoint("m", **plain | settings).identity != before) is changes


def test_settings_travel() -> None:
    endpoint = Endpoint("m", base_url=URL, body={"reasoning_effort": "low"})
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint
    assert endpoint.gpus == 0
    assert endpoint.max_concurrency == 64


@pytest.mark.parametrize(
    ("url", "owner", "kind"),
    [
        ("https://api.openai.com/v1", "system", Server.OPENAI),
        ("https://x.openai.azure.com/openai/v1", "", Server.OPENAI),
        (URL, "vllm", Server.VLLM),
        (URL, "sglang", Server.SGLANG),
        (URL, "llamacpp", Server.LLAMA_CPP),
        (URL, "openai", Server.OTHER),
        (URL, "", Server.OTHER),
    ],
)
def test_kinds_of_servers(url: str, owner: str, kind: Server) -> None:
    assert kind_of(url, "m", [{"id": "m", "owned_by": owner}]) is kind


def test_a_gateway_is_of_the_kind_of_the_model_that_is_asked() -> None:
    models = [{"id": "a", "owned_by": "vllm"}, {"id": "b", "owned_by": "openai"}]
    assert [kind_of(URL, name, models) for name in ("a", "b", "alias")] == [
        Server.VLLM,
        Server.OTHER,
        Server.OTHER,
    ]
    assert kind_of(URL, "alias", models[:1] * 2) is Server.VLLM
