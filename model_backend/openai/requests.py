"""Makes requests into the bodies that OpenAI-compatible servers read.

Servers ignore a field that they do not know, and answer with status 200. So each kind of server has
a table of the fields that it reads; a setting that its table has no field for is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from nbest.orchestrator.errors import RequestRejected
from nbest.orchestrator.sampling_params import Constraint, SamplingParams, Thinking
from nbest.orchestrator.types import Request

CHAT, TEXT = "/chat/completions", "/completions"
MOST_LIKELIEST = 20  # of the likeliest tokens that the protocol lets one ask for
TEMPLATE = "chat_template_kwargs"  # what vLLM, SGLang and llama.cpp hand on to the template
EFFORT, BUDGET = "reasoning_effort", "thinking_token_budget"
SEED_BITS = 31  # what every server takes; a negative seed means a random one to some


class Server(StrEnum):
    """Kinds of servers, by the fields that they read."""

    OPENAI = "openai"
    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_CPP = "llama.cpp"
    OTHER = "other"  # the fields that all of them read


# Sampling settings that are in the protocol itself, and read everywhere.
_EVERYWHERE = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_VLLM = {
    name: name
    for name in (
        *("top_k", "min_p", "repetition_penalty", "min_tokens", "stop_token_ids"),
        *("include_stop_str_in_output", "ignore_eos", "bad_words", "allowed_token_ids"),
        *("skip_special_tokens", "spaces_between_special_tokens"),
    )
}
# The further settings that a kind of server reads, and the names that it has for them.
FIELDS: Mapping[Server, Mapping[str, str]] = {
    Server.OPENAI: {},
    Server.OTHER: {},
    Server.VLLM: _VLLM,
    Server.SGLANG: {
        name: name
        for name in (
            *("top_k", "min_p", "repetition_penalty", "min_tokens", "stop_token_ids"),
            *("ignore_eos", "skip_special_tokens"),
        )
    }
    | {"include_stop_str_in_output": "no_stop_trim"},
    Server.LLAMA_CPP: {
        "top_k": "top_k",
        "min_p": "min_p",
        "repetition_penalty": "repeat_penalty",
        "ignore_eos": "ignore_eos",
    },
}
_FURTHER = tuple(_VLLM)
_PLAIN = SamplingParams()


def path_of(request: Request) -> str:
    """Where a request goes: a chat to one address, a raw text to another."""
    return TEXT if isinstance(request.prompt, str) else CHAT


def body_of(
    request: Request,
    model: str,
    server: Server,
    *,
    is_seeded: bool = True,
    is_streamed: bool = True,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body that asks for one sample; `more` holds further fields of the user's own.

    RequestRejected names a setting that this kind of server would ignore.
    """
    params = request.params
    if request.prefix is not None:
        raise RequestRejected(
            "a server continues no answer: a search needs an engine of nbest's own"
        )
    body: dict[str, Any] = {"model": model, **_prompt(request), **_sampling(params, server)}
    limit = "max_tokens"
    if server is Server.OPENAI and path_of(request) == CHAT:
        limit = "max_completion_tokens"  # the models that think take no other
    body[limit] = params.max_tokens
    body |= _logprobs(params, server, path_of(request))
    if params.thinking is not None:
        body |= _thinking(params.thinking, server, path_of(request))
    if params.constraint is not None:
        body |= _constraint(params.constraint, server, path_of(request))
    if request.seed is not None and is_seeded:
        body["seed"] = seed_for(request.seed, server)
    if server is Server.VLLM:
        body["return_token_ids"] = True
    if is_streamed:
        usage = {"include_usage": True}
        if server is Server.VLLM:
            usage["continuous_usage_stats"] = True
        body |= {"stream": True, "stream_options": usage}
    return _with_more(body, more or {})


def _with_more(body: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the user's own fields.

    RequestRejected where one is a switch of the thinking that the sampling sets, too.
    """
    ours, theirs = body.get(TEMPLATE, {}), more.get(TEMPLATE)
    arguments = dict(theirs) if isinstance(theirs, Mapping) else {}
    twice = [name for name in (EFFORT, BUDGET) if name in body and name in more]
    twice += [name for name in ours if name in arguments]
    if twice:
        rule = f"hold no {' or '.join(twice)} where sampling.thinking does"
        raise RequestRejected(f"model.body must {rule}")
    return body | dict(more) | ({TEMPLATE: arguments | ours} if ours else {})


def _thinking(thinking: Thinking, server: Server, path: str) -> dict[str, Any]:
    """The fields that switch a model's thinking; RequestRejected where the server reads none."""
    fields: dict[str, Any] = {}
    is_chat = path == CHAT
    if thinking.enabled is not None:
        if not is_chat or server not in (Server.VLLM, Server.SGLANG, Server.LLAMA_CPP):
            raise _unread("thinking on or off", server, is_chat)
        fields[TEMPLATE] = {"enable_thinking": thinking.enabled, "thinking": thinking.enabled}
    if thinking.effort is not None:
        if not is_chat or server is Server.OTHER:
            raise _unread("effort of thinking", server, is_chat)
        if server is Server.LLAMA_CPP:
            fields.setdefault(TEMPLATE, {})[EFFORT] = thinking.effort
        else:
            fields[EFFORT] = thinking.effort
    if thinking.budget is not None:
        if server is not Server.VLLM:
            raise _unread("budget of thinking", server, is_chat)
        fields[BUDGET] = thinking.budget
    return fields


def _unread(what: str, server: Server, is_chat: bool) -> RequestRejected:
    where = "" if is_chat else " for a raw prompt"
    return RequestRejected(f"a server of kind {server} reads no {what}{where} (model.server)")


def seed_for(seed: int, server: Server) -> int:
    """The seed that a server gets: the whole of it for vLLM, which draws as in this process."""
    return seed if server is Server.VLLM else seed % 2**SEED_BITS


def _prompt(request: Request) -> dict[str, Any]:
    if isinstance(request.prompt, str):
        return {"prompt": request.prompt}
    return {"messages": [{"role": m.role, "content": m.content} for m in request.prompt]}


def _sampling(params: SamplingParams, server: Server) -> dict[str, Any]:
    """The settings that are not as they are by default; temperature and top_p always."""
    names = FIELDS[server]
    body: dict[str, Any] = {"temperature": params.temperature, "top_p": params.top_p}
    for name in _EVERYWHERE:
        if (value := getattr(params, name)) != getattr(_PLAIN, name):
            body[name] = value
    for name in _FURTHER:
        if (value := getattr(params, name)) == getattr(_PLAIN, name):
            continue
        if name not in names:
            kind = f"a server of kind {server}"
            raise RequestRejected(f"{kind} reads no {name}: it would be ignored (model.server)")
        body[names[name]] = list(value) if isinstance(value, tuple) else value
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in params.logit_bias}
    return body


def _logprobs(params: SamplingParams, server: Server, path: str) -> dict[str, Any]:
    """The fields that ask for log-probabilities.

    vLLM counts the sampled token as the first of the likeliest in a chat, so one more is asked for.
    The texts of likeliest tokens are keys in the reply to a raw text, and two tokens may have one
    text: where nobody wants the texts, vLLM is asked for ids in their place.
    """
    if params.logprobs is None:
        return {}
    if path == TEXT:
        is_by_id = server is Server.VLLM and not params.token_texts
        by_id = {"return_tokens_as_token_ids": True} if is_by_id else {}
        return {"logprobs": params.logprobs, **by_id}
    if not params.logprobs:
        return {"logprobs": True}
    extra = 1 if server is Server.VLLM else 0
    return {"logprobs": True, "top_logprobs": min(MOST_LIKELIEST, params.logprobs + extra)}


def _constraint(constraint: Constraint, server: Server, path: str) -> dict[str, Any]:
    kinds = ("json", "regex", "choice", "grammar")
    kind = next(name for name in kinds if getattr(constraint, name) is not None)
    value = getattr(constraint, kind)
    if server is Server.VLLM:
        return {"structured_outputs": {kind: list(value) if kind == "choice" else value}}
    if kind == "json" and path == CHAT:
        return {"response_format": _json_schema(value, is_strict=server is Server.OPENAI)}
    if server is Server.SGLANG and kind in ("regex", "choice"):
        either = value if kind == "regex" else "|".join(re.escape(text) for text in value)
        return {"regex": f"({either})" if kind == "choice" else either}
    if kind == "grammar" and server in (Server.SGLANG, Server.LLAMA_CPP):
        return {"ebnf" if server is Server.SGLANG else "grammar": value}
    what = f"a constraint of kind {kind}" + (" on a raw text" if kind == "json" else "")
    raise RequestRejected(f"a server of kind {server} reads no {what} (model.server)")


def _json_schema(schema: str, *, is_strict: bool) -> dict[str, Any]:
    named: dict[str, Any] = {"name": "answer", "schema": json.loads(schema)}
    return {"type": "json_schema", "json_schema": named | ({"strict": True} if is_strict else {})}
