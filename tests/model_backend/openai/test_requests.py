"""Every sampling setting is in the body that a server reads, or is refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

from nbest.model_backend.openai.requests import CHAT, TEXT, Server, body_of, path_of, seed_for
from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.sampling_params import ConfidenceFloor, Constraint, SamplingParams, Thinking
from nbest.orchestrator.types import Message, Request

CHAT_PROMPT = (Message(role="system", content="Be brief."), Message(role="user", content="Hi"))

# Each setting, turned; with what vLLM's server reads for it.
TURNED: dict[str, tuple[object, dict[str, object]]] = {
    "temperature": (0.3, {"temperature": 0.3}),
    "top_p": (0.5, {"top_p": 0.5}),
    "top_k": (7, {"top_k": 7}),
    "min_p": (0.1, {"min_p": 0.1}),
    "presence_penalty": (0.2, {"presence_penalty": 0.2}),
    "frequency_penalty": (0.2, {"frequency_penalty": 0.2}),
    "repetition_penalty": (1.2, {"repetition_penalty": 1.2}),
    "max_tokens": (9, {"max_tokens": 9}),
    "min_tokens": (3, {"min_tokens": 3}),
    "stop": (("a", "b"), {"stop": ["a", "b"]}),
    "stop_token_ids": ((5,), {"stop_token_ids": [5]}),
    "include_stop_str_in_output": (True, {"include_stop_str_in_output": True}),
    "ignore_eos": (True, {"ignore_eos": True}),
    "bad_words": (("x",), {"bad_words": ["x"]}),
    "allowed_token_ids": ((1, 2), {"allowed_token_ids": [1, 2]}),
    "logit_bias": (((50, -2.5),), {"logit_bias": {"50": -2.5}}),
    "skip_special_tokens": (False, {"skip_special_tokens": False}),
    "spaces_between_special_tokens": (False, {"spaces_between_special_tokens": False}),
    "logprobs": (3, {"logprobs": True, "top_logprobs": 4}),
    "constraint": (Constraint(regex="a+"), {"structured_outputs": {"regex": "a+"}}),
    "thinking": (Thinking(budget=7), {"thinking_token_budget": 7}),
}
OURS = {"token_texts", "floor"}  # read out of the reply; they change no request


def request(prompt: str | tuple[Message, ...] = CHAT_PROMPT, **settings: Any) -> Request:
    return Request(id="r/q/s0", prompt=prompt, params=SamplingParams(**settings), seed=2**52 + 1)


def test_every_setting_is_turned_here() -> None:
    assert {field.name for field in fields(SamplingParams)} == {*TURNED, *OURS}


@pytest.mark.parametrize("name", sorted(TURNED))
def test_a_turned_setting_is_in_the_body_for_vllm(name: str) -> None:
    value, expected = TURNED[name]
    plain = body_of(request(), "m", Server.VLLM)
    body = body_of(request(**{name: value}), "m", Server.VLLM)
    assert body == plain | expected
    assert body != plain


@pytest.mark.parametrize("server", list(Server))
@pytest.mark.parametrize("name", sorted(TURNED))
def test_on_every_server_a_turned_setting_changes_the_body_or_is_refused(
    name: str, server: Server
) -> None:
    value, _ = TURNED[name]
    turned = request(**{name: value})
    kind = {"constraint": "regex"}.get(name, name)
    is_read = True
    with suppress(RequestRejected):
        is_read = False
        assert body_of(turned, "m", server) != body_of(request(), "m", server)
        is_read = True
    if not is_read:
        with pytest.raises(RequestRejected, match=rf"{server} reads no .*{kind}"):
            body_of(turned, "m", server)


SWITCHED_OFF = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}


@pytest.mark.parametrize(
    ("server", "thinking", "expected"),
    [
        (Server.VLLM, Thinking(enabled=False), SWITCHED_OFF),
        (Server.SGLANG, Thinking(enabled=False), SWITCHED_OFF),
        (Server.LLAMA_CPP, Thinking(enabled=False), SWITCHED_OFF),
        (Server.OPENAI, Thinking(enabled=False), None),
        (Server.OTHER, Thinking(enabled=True), None),
        (Server.VLLM, Thinking(effort="low"), {"reasoning_effort": "low"}),
        (Server.OPENAI, Thinking(effort="low"), {"reasoning_effort": "low"}),
        (
            Server.LLAMA_CPP,
            Thinking(effort="low"),
            {"chat_template_kwargs": {"reasoning_effort": "low"}},
        ),
        (Server.OTHER, Thinking(effort="low"), None),
        (Server.SGLANG, Thinking(budget=9), None),
    ],
)
def test_thinking_in_the_words_of_each_server(
    server: Server, thinking: Thinking, expected: dict[str, object] | None
) -> None:
    if expected is None:
        with pytest.raises(RequestRejected, match=f"{server} reads no .*thinking"):
            body_of(request(thinking=thinking), "m", server)
        return
    plain = body_of(request(), "m", server)
    assert body_of(request(thinking=thinking), "m", server) == plain | expected


def test_a_raw_text_has_no_template_to_switch() -> None:
    with pytest.raises(RequestRejected, match="no thinking on or off for a raw prompt"):
        body_of(request("Q:", thinking=Thinking(enabled=True)), "m", Server.VLLM)


def test_the_users_own_template_arguments_stay_beside_the_switch() -> None:
    more = {"chat_template_kwargs": {"date": "today"}, "priority": 1}
    body = body_of(request(thinking=Thinking(enabled=False)), "m", Server.VLLM, more=more)
    assert body["chat_template_kwargs"] == {
        "date": "today",
        "enable_thinking": False,
        "thinking": False,
    }
    assert body["priority"] == 1
    assert body_of(request(), "m", Server.VLLM, more=more) == body_of(
        request(), "m", Server.VLLM
    ) | dict(more)
    nothing = {"chat_template_kwargs": None}  # goes out as it is
    assert body_of(request(), "m", Server.VLLM, more=nothing)["chat_template_kwargs"] is None


@pytest.mark.parametrize(
    ("thinking", "more", "what"),
    [
        (Thinking(effort="low"), {"reasoning_effort": "high"}, "reasoning_effort"),
        (Thinking(budget=5), {"thinking_token_budget": 9}, "thinking_token_budget"),
        (Thinking(enabled=False), {"chat_template_kwargs": {"thinking": True}}, "thinking"),
    ],
)
def test_a_switch_that_is_set_twice_is_refused(
    thinking: Thinking, more: dict[str, object], what: str
) -> None:
    with pytest.raises(RequestRejected, match=rf"model\.body must hold no {what} where"):
        body_of(request(thinking=thinking), "m", Server.VLLM, more=more)


def test_token_texts_and_floors_are_read_from_the_reply() -> None:
    floor = ConfidenceFloor(level=1.0, k=3)
    plain = body_of(request(logprobs=3), "m", Server.VLLM)
    assert body_of(request(logprobs=3, token_texts=True, floor=floor), "m", Server.VLLM) == plain


def test_a_chat_and_a_raw_text_go_to_their_own_addresses() -> None:
    assert path_of(request()) == CHAT
    assert path_of(request("Q:")) == TEXT
    assert body_of(request("Q:"), "m", Server.OTHER)["prompt"] == "Q:"
    turns = body_of(request(), "m", Server.OTHER)["messages"]
    assert turns == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_likeliest_tokens_of_a_raw_text_come_by_id_unless_their_texts_are_wanted() -> None:
    body = body_of(request("Q:", logprobs=3), "m", Server.VLLM)
    assert body["logprobs"] == 3
    assert body["return_tokens_as_token_ids"] is True
    named = body_of(request("Q:", logprobs=3, token_texts=True), "m", Server.VLLM)
    assert "return_tokens_as_token_ids" not in named
    assert body_of(request("Q:", logprobs=0), "m", Server.OTHER)["logprobs"] == 0


def test_more_than_the_protocol_has_is_never_asked_for() -> None:
    assert body_of(request(logprobs=20), "m", Server.VLLM)["top_logprobs"] == 20
    assert body_of(request(logprobs=5), "m", Server.OPENAI)["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("server", "constraint", "expected"),
    [
        (
            Server.VLLM,
            Constraint(choice=("a", "b")),
            {"structured_outputs": {"choice": ["a", "b"]}},
        ),
        (Server.SGLANG, Constraint(choice=("a.", "b")), {"regex": r"(a\.|b)"}),
        (Server.SGLANG, Constraint(grammar="root ::= x"), {"ebnf": "root ::= x"}),
        (Server.LLAMA_CPP, Constraint(grammar="root ::= x"), {"grammar": "root ::= x"}),
    ],
)
def test_constraints_in_the_words_of_each_server(
    server: Server, constraint: Constraint, expected: dict[str, object]
) -> None:
    assert expected.items() <= body_of(request(constraint=constraint), "m", server).items()


def test_a_json_schema_is_the_protocols_own() -> None:
    schema = Constraint(json='{"type": "object"}')
    body = body_of(request(constraint=schema), "m", Server.OPENAI)
    said = body["response_format"]["json_schema"]
    assert said == {"name": "answer", "schema": {"type": "object"}, "strict": True}
    with pytest.raises(RequestRejected, match="json on a raw text"):
        body_of(request("Q:", constraint=schema), "m", Server.OPENAI)


def test_seeds_are_whole_for_vllm_and_small_and_positive_elsewhere() -> None:
    assert seed_for(2**52 + 1, Server.VLLM) == 2**52 + 1
    assert 0 <= seed_for(2**52 + 1, Server.LLAMA_CPP) < 2**31
    assert "seed" not in body_of(request(), "m", Server.VLLM, is_seeded=False)


def test_openai_takes_the_new_name_of_the_limit() -> None:
    body = body_of(request(max_tokens=9), "m", Server.OPENAI)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert body_of(request("Q:", max_tokens=9), "m", Server.OPENAI)["max_tokens"] == 9


def test_fields_of_ones_own_are_added() -> None:
    more = {"reasoning_effort": "low"}
    assert body_of(request(), "m", Server.OTHER, more=more)["reasoning_effort"] == "low"
