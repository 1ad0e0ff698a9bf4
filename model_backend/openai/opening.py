"""What is found out about a server before a run relies on it: its kind, its model, its seeds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from nbest.model_backend.openai.connection import Connection
from nbest.model_backend.openai.failures import Broken, Busy, Denied
from nbest.model_backend.openai.requests import Server
from nbest.orchestrator.errors import (
    BackendError,
    InputError,
    NotBegun,
    RequestRejected,
    first_line,
)
from nbest.orchestrator.protocols import Backend
from nbest.orchestrator.requirements import did_you_mean
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.tasks import task_group
from nbest.orchestrator.types import Message, Request, Sample

OWNERS = {"vllm": Server.VLLM, "sglang": Server.SGLANG, "llamacpp": Server.LLAMA_CPP}
LISTS_ALL = frozenset({Server.VLLM, Server.SGLANG})  # these serve no model but those they list
# Something that two seeds hardly ever answer alike.
CANARY = "Write twelve words that have nothing to do with each other."
CANARY_TOKENS = 24
LOOK_AGAIN_S = 1.0  # at a server that is loading


async def look_at(connection: Connection, model: str, kind: str, patience_s: float) -> Server:
    """See what serves there; InputError where it is not the model that was asked for.

    A server that is loading its model is waited for.
    """
    where = connection.base_url
    try:
        models = await _models_at(connection, patience_s)
    except InputError:
        if kind == "auto":
            raise
        models = []  # some keys may ask models and not list them
    server = kind_of(where, model, models) if kind == "auto" else Server(kind)
    names = _names(models)
    if server in LISTS_ALL and names and model not in names:
        hint = did_you_mean(model, names) or f"; it serves {', '.join(names[:5])}"
        raise InputError(f"model.model must be one that {where} serves, got {model!r}{hint}")
    return server


async def names_at(connection: Connection) -> list[str]:
    """The names of the models that are served there, as far as the server tells them."""
    return _names(await _models_at(connection, 0.0))


def _names(models: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(served.get("id", "")) for served in models]


async def _models_at(connection: Connection, patience_s: float) -> list[Mapping[str, Any]]:
    where = connection.base_url
    until_s = time.monotonic() + patience_s
    while True:
        try:
            return await connection.models()
        except Busy as error:  # as one is that loads its model
            if time.monotonic() >= until_s:
                raise BackendError(f"{where} is not ready: {error}") from error
            await asyncio.sleep(LOOK_AGAIN_S)
        except Broken as error:
            raise BackendError(f"nothing answers at {where}: {error}") from error
        except (Denied, RequestRejected) as error:
            rule = "name a key that the server takes, and base_url its address"
            raise InputError(f"model.api_key_env must {rule}: {where} answers {error}") from error


def kind_of(base_url: str, model: str, models: Sequence[Mapping[str, Any]]) -> Server:
    """The kind of a server, by its address and by who owns the model.

    Gateways list models of several owners: where the model is not among them, one that all share.
    """
    host = urlsplit(base_url).hostname or ""
    if host == "api.openai.com" or host.endswith(".openai.azure.com"):
        return Server.OPENAI
    own = [entry for entry in models if entry.get("id") == model] or models
    owners = {str(entry.get("owned_by", "")) for entry in own}
    return OWNERS.get(owners.pop(), Server.OTHER) if len(owners) == 1 else Server.OTHER


async def require_seeds(engine: Backend, seeds: str, *, where: str) -> None:
    """Draw a few short samples: the server answers, and equal seeds give equal samples.

    InputError where a request is refused, where a seed changes nothing, or where equal seeds give
    different samples.
    """
    try:
        first, again, other = await _canaries(engine, seeds == "checked")
    except (NotBegun, RequestRejected) as error:
        raise InputError(f"model: {where} answers {first_line(error)}") from error
    if seeds != "checked":
        return
    if not (first or again or other):
        what = f"{CANARY_TOKENS} tokens of it are a thought that {where} does not show"
        raise InputError(f"model.seeds must be none or trusted: {what}, so none can be compared")
    if first != again:
        what = "draws different samples for one seed, so no sample can be drawn again"
        raise InputError(f"model.seeds must be none: {where} {what}")
    if first == other:
        what = "draws the same sample for two seeds: N samples would be one"
        raise InputError(f"model.seeds must be none or trusted: {where} {what}")


async def _canaries(engine: Backend, is_whole: bool) -> tuple[str, str, str]:
    """Texts of seed 1, of seed 1 again, and of seed 2; only the first unless `is_whole`.

    A busy engine rounds otherwise in each batch, so one that differs is drawn once more.
    """
    chat: tuple[Message, ...] | str = (Message(role="user", content=CANARY),)
    try:
        first = await _draw(engine, chat, 1)
    except RequestRejected as refusal:
        chat = CANARY  # a model without a chat template takes raw texts alone
        try:
            first = await _draw(engine, chat, 1)
        except RequestRejected:
            raise refusal from None
    if not is_whole:
        return first, first, ""
    async with task_group() as group:
        again = group.create_task(_draw(engine, chat, 1, "again"))
        other = group.create_task(_draw(engine, chat, 2))
    if again.result() == first:
        return first, first, other.result()
    first, once_more = [await _draw(engine, chat, 1, name) for name in ("third", "fourth")]
    return first, once_more, other.result()


async def _draw(
    engine: Backend, prompt: tuple[Message, ...] | str, seed: int, name: str = ""
) -> str:
    request = Request(
        id=f"canary/{seed}{name}",
        prompt=prompt,
        params=SamplingParams(temperature=1.0, max_tokens=CANARY_TOKENS),
        seed=seed,
    )
    sample: Sample = await engine.generate(request)
    return sample.reasoning + sample.text
