"""OpenAI-compatible servers as a backend: its settings, and the connection while it is open.

It knows no Ray, no store and no scorer; aiohttp is imported when a connection is opened.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from nbest.model_backend.openai.connection import Connection, proxy_secrets
from nbest.model_backend.openai.engine import EndpointEngine, Manner
from nbest.model_backend.openai.failures import Words
from nbest.model_backend.openai.opening import look_at, names_at, require_seeds
from nbest.model_backend.openai.requests import Server
from nbest.model_backend.openai.throttle import Throttle
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.reasoning import tags_of
from nbest.orchestrator.requirements import did_you_mean, require

# Fields of a request's body that have a setting of their own.
SERVERS = ("auto", "openai", "vllm", "sglang", "llama.cpp", "other")
OURS = frozenset(
    {
        *("model", "messages", "prompt", "n", "best_of", "stream", "stream_options", "seed"),
        *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"),
        *("repetition_penalty", "max_tokens", "max_completion_tokens", "min_tokens", "stop"),
        *("stop_token_ids", "include_stop_str_in_output", "ignore_eos", "bad_words"),
        *("allowed_token_ids", "logit_bias", "skip_special_tokens", "logprobs", "top_logprobs"),
        *("spaces_between_special_tokens", "response_format", "structured_outputs", "echo"),
        *("return_token_ids", "return_tokens_as_token_ids"),
    }
)
PRICES = ("input", "cached", "output")
SECRETS = frozenset(
    {
        *("apikey", "key", "token", "accesstoken", "authtoken", "authorization", "bearer"),
        *("password", "passwd", "secret", "clientsecret", "credentials"),
    }
)


_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Settings of a connection to an OpenAI-compatible server that runs already.

    Example: `Endpoint("Qwen/Qwen3-8B", base_url="http://localhost:8000/v1")`
    """

    model: str  # the name that the server has for it
    _: KW_ONLY
    base_url: str  # as the server's own documentation gives it, mostly with /v1 at its end
    api_key_env: str | None = None  # the environment variable that holds the key; None: no key
    max_concurrency: int = 64  # requests under way at once; fewer while the server asks for it
    # Which fields the server reads beyond the protocol; auto asks the server.
    server: Literal["auto", "openai", "vllm", "sglang", "llama.cpp", "other"] = "auto"
    # Whether equal seeds give equal samples: checked when the connection opens, trusted, or none.
    seeds: Literal["checked", "trusted", "none"] = "checked"
    # How thoughts are told apart that stand in a text: by "tags", by tags of the model's own as
    # "<plan> </plan>", or "none".
    reasoning: str = "tags"
    stream: bool = True  # False: less to read, but an aborted sample has no text and no count
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)  # further fields
    # Dollars for a million tokens: {input: 0.15, cached: 0.075, output: 0.6}
    price: Mapping[str, float] = field(default_factory=dict, hash=False)
    revision: str | None = None  # what you know of the model's version; another one, another run
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 600.0  # without a byte, or with none that holds anything generated
    patience_s: float = 60.0  # for a server that is away while a run goes on

    def __post_init__(self) -> None:
        require(bool(self.model), "model", "be named", self.model)
        object.__setattr__(self, "base_url", _checked_url(self.base_url))
        require(self.max_concurrency >= 1, "max_concurrency", "be at least 1", self.max_concurrency)
        for key in ("connect_timeout_s", "read_timeout_s"):
            require(getattr(self, key) > 0, key, "be above 0", getattr(self, key))
        require(self.patience_s >= 0, "patience_s", "be at least 0", self.patience_s)
        words = {"server": SERVERS, "seeds": ("checked", "trusted", "none")}
        for key, allowed in words.items():
            value = getattr(self, key)
            require(value in allowed, key, f"be one of {', '.join(allowed)}", value)
        is_known = self.reasoning in ("tags", "none") or tags_of(self.reasoning) is not None
        rule = 'be tags, none or two tags as "<plan> </plan>"'
        require(is_known, "reasoning", rule, self.reasoning)
        for name in self.body:
            require(name not in OURS, "body", f"leave {name} to the setting for it", name)
        _require_no_secret(self.body)
        for name, dollars in self.price.items():
            require(name in PRICES, "price", f"name {', '.join(PRICES)}", name)
            require(0 <= dollars < math.inf, f"price.{name}", "be at least 0", dollars)
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            rule = "be the name of an environment variable, in capitals, and not a key"
            require(False, "api_key_env", rule, "***")

    @property
    def rates(self) -> Literal["nothing"]:
        return "nothing"

    @property
    def gpus(self) -> int:
        return 0

    @property
    def identity(self) -> dict[str, str | int | None]:
        more = {
            "server": None if self.server == "auto" else self.server,
            "seeds": None if self.seeds != "none" else "none",
            "reasoning": None if self.reasoning == "tags" else self.reasoning,
            "body": json.dumps(dict(self.body), sort_keys=True, default=str) if self.body else None,
        }
        return {
            "model": self.model,
            "base_url": self.base_url,
            "revision": self.revision,
            **{key: value for key, value in more.items() if value is not None},
        }

    @asynccontextmanager
    async def open(self, name: str = "") -> AsyncIterator[EndpointEngine]:
        """Connect, see what the server is, and draw a few tokens to see whether it minds seeds."""
        async with self.connect() as connection:
            server = await look_at(connection, self.model, self.server, self.patience_s)
            engine = EndpointEngine(
                connection,
                self._manner(server),
                Throttle(self.max_concurrency),
                name,
                patience_s=self.patience_s,
                silence_s=self.read_timeout_s,
            )
            try:
                await require_seeds(engine, self.seeds, where=self.base_url)
                yield engine
            finally:
                await engine.close()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Make ready to speak with the server; nothing is sent yet."""
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        key = self._key()
        timeout = ClientTimeout(
            total=None, sock_connect=self.connect_timeout_s, sock_read=self.read_timeout_s
        )
        async with ClientSession(
            connector=TCPConnector(limit=0),
            timeout=timeout,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            cookie_jar=DummyCookieJar(),
        ) as session:
            words = Words(secrets=(*([key] if key else []), *proxy_secrets(self.base_url)))
            yield Connection(session=session, base_url=self.base_url, words=words)

    def _manner(self, server: Server) -> Manner:
        return Manner(
            model=self.model,
            server=server,
            is_seeded=self.seeds != "none",
            is_streamed=self.stream,
            has_tags=self.reasoning != "none",
            tags=tags_of(self.reasoning),
            more=self.body,
        )

    def _key(self) -> str:
        """The key, read where it is used: it is in no setting, and so in no file and no log."""
        if self.api_key_env is None:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key or not key.isprintable():
            hint = did_you_mean(self.api_key_env, os.environ) if not key else ""
            rule = f"name an environment variable that holds a key{hint}"
            raise InputError(f"model.api_key_env must {rule}, got {self.api_key_env!r}")
        return key


def _require_no_secret(value: object) -> None:
    """Raise InputError where a field is called as keys are: the config is stored with its run."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            plain = re.sub("[^a-z]", "", str(name).lower())
            require(plain not in SECRETS, "body", "hold no secret: name api_key_env", name)
            _require_no_secret(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _require_no_secret(inner)


async def only_model(endpoint: Endpoint) -> str:
    """The name of the one model that is served at an address.

    InputError where there is none, or are several; BackendError where nothing answers.
    """
    async with endpoint.connect() as connection:
        names = await names_at(connection)
    if len(names) != 1:
        what = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "no names"
        raise InputError(f"model must be given: {endpoint.base_url} lists {what}")
    return names[0]


def _checked_url(url: str) -> str:
    """The address without a slash at its end; InputError where it is none, or holds a secret."""
    rule = "be an address as http://HOST:PORT/v1"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 # it raises where it is no number
    except ValueError as error:
        raise InputError(f"base_url must {rule}, got {'***' if '@' in url else url!r}") from error
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        where = f"{parts.scheme}://{parts.hostname}{parts.path}"
        raise InputError(f"base_url must hold no user, key or query: name api_key_env, got {where}")
    is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    require(is_url, "base_url", rule, "***" if "@" in url else url)
    return url.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")
