"""The sections of a config about the engine, the sampling and the cluster.

They are inert: nothing here opens a file, imports an engine or starts a process.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from nbest.experiments.language.section import Section, Texts
from nbest.orchestrator.cluster.settings import Cluster
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.sampling_params import Constraint, SamplingParams, Thinking


def _as_json_text(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value


class ConstraintSection(Section):
    """The format that every sample must have; exactly one key is set."""

    schema_text: Annotated[
        str | None,
        BeforeValidator(_as_json_text, json_schema_input_type=str | dict[str, Any] | None),
    ] = Field(
        default=None, alias="json", description="A JSON schema, as JSON text or as a mapping."
    )
    regex: str | None = Field(default=None, description="A regular expression.")
    choice: Texts | None = Field(
        default=None, description="A list of texts, one of which it must be."
    )
    grammar: str | None = Field(
        default=None, description="A grammar, in the dialect of the engine."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.build()
        except InputError as error:  # the message names the constraint; here the key's path does
            raise InputError(str(error).removeprefix("constraint ")) from error
        return self

    def build(self) -> Constraint:
        """Build the constraint that a request carries."""
        return Constraint(
            json=self.schema_text, regex=self.regex, choice=self.choice, grammar=self.grammar
        )


TokenIds = Annotated[tuple[int, ...], Field(strict=False)]
TokenId = Annotated[int, Field(strict=False)]  # as a key of YAML it is text


class ThinkingSection(Section):
    """How much a thinking model thinks before it answers."""

    enabled: bool | None = Field(default=None, description="Whether it thinks.")
    effort: str | None = Field(default=None, description="A level that the model knows.")
    budget: int | None = Field(
        default=None, description="Tokens of thought; at the last one it is ended by force."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.build()
        return self

    def build(self) -> Thinking:
        """Build what a request carries."""
        return Thinking(enabled=self.enabled, effort=self.effort, budget=self.budget)


def _as_switch(value: object) -> object:
    """`on` and `off`, which YAML may take for truth values, as settings."""
    if isinstance(value, bool) or value in ("on", "off"):
        return {"enabled": value in (True, "on")}
    return value


class SamplingSection(Section):
    """How one sample is drawn."""

    temperature: float = Field(default=1.0, description="0 is greedy; at most 2.")
    top_p: float = Field(
        default=1.0, description="Keep the likeliest tokens that reach this probability."
    )
    top_k: int = Field(
        default=0, description="Keep this many of the likeliest tokens; 0 keeps all."
    )
    min_p: float = Field(
        default=0.0, description="Drop tokens below this share of the likeliest one."
    )
    presence_penalty: float = Field(
        default=0.0, description="Above 0: fewer tokens that the answer has already; -2 to 2."
    )
    frequency_penalty: float = Field(
        default=0.0, description="The same, the more often the answer has them; -2 to 2."
    )
    repetition_penalty: float = Field(
        default=1.0, description="Above 1: fewer tokens that prompt or answer have already."
    )
    max_tokens: int = Field(default=256, description="Longest answer, in tokens.")
    min_tokens: int = Field(default=0, description="Tokens before an end of text or a stop counts.")
    stop: Texts = Field(default=(), description="Texts that end an answer, and are not part of it.")
    stop_token_ids: TokenIds = Field(default=(), description="Tokens that end an answer.")
    include_stop_str_in_output: bool = Field(
        default=False, description="Keep the text of `stop` that ended the answer."
    )
    ignore_eos: bool = Field(default=False, description="Go on after an end of text.")
    bad_words: Texts = Field(default=(), description="Texts that must not be written.")
    allowed_token_ids: TokenIds = Field(
        default=(), description="The only tokens that may be written; none: all."
    )
    logit_bias: dict[TokenId, float] = Field(
        default={}, description='What is added to the logits of tokens, by their ids: {"50": -2.5}.'
    )
    skip_special_tokens: bool = Field(default=True, description="Leave them out of the text.")
    spaces_between_special_tokens: bool = Field(
        default=True, description="Put spaces between them, where they are in the text."
    )
    thinking: Annotated[
        ThinkingSection | None,
        BeforeValidator(_as_switch, json_schema_input_type=ThinkingSection | bool | None),
    ] = Field(
        default=None,
        description="Of a thinking model: on, off, or {effort: low, budget: 1024}, the budget in "
        "tokens of thought. Default: as the model does by itself.",
    )
    logprobs: int | None = Field(
        default=None,
        description="0: keep the log-probability of each token; k: and of the k likeliest.",
    )
    token_texts: bool = Field(
        default=False, description="With logprobs: keep the k likeliest tokens as text, too."
    )
    constraint: ConstraintSection | None = Field(
        default=None, description="A format that is enforced."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.build()
        return self

    def build(self) -> SamplingParams:
        """Build the parameters that a request carries; they check their ranges."""
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            max_tokens=self.max_tokens,
            min_tokens=self.min_tokens,
            stop=self.stop,
            stop_token_ids=self.stop_token_ids,
            include_stop_str_in_output=self.include_stop_str_in_output,
            ignore_eos=self.ignore_eos,
            bad_words=self.bad_words,
            allowed_token_ids=self.allowed_token_ids,
            logit_bias=tuple(sorted(self.logit_bias.items())),
            skip_special_tokens=self.skip_special_tokens,
            spaces_between_special_tokens=self.spaces_between_special_tokens,
            logprobs=self.logprobs,
            token_texts=self.token_texts,
            thinking=None if self.thinking is None else self.thinking.build(),
            constraint=None if self.constraint is None else self.constraint.build(),
        )


class ClusterSection(Section):
    """Where it runs: Ray processes on this machine by default."""

    engines: int = Field(default=1, ge=1, description="Engines, each with the whole model.")
    reward_engines: int = Field(
        default=1, ge=1, description="Engines of each reward model, and of each of `models`."
    )
    workers: int = Field(
        default=1, ge=1, description="Processes that send requests and score answers."
    )
    cpus_per_engine: float = Field(
        default=1.0, gt=0, description="CPU cores that Ray sets aside for each."
    )
    gpus_per_engine: int | None = Field(
        default=None,
        ge=0,
        description="GPUs for each engine. Default: as many as its tensor_parallel_size where "
        "there are GPUs, otherwise none.",
    )
    local: bool = Field(default=False, description="One engine in this process, without Ray.")
    address: str | None = Field(
        default=None,
        min_length=1,
        description="A running Ray cluster to join: HOST:PORT, or auto on one of its machines.",
    )
    engines_span_nodes: bool = Field(
        default=False, description="The GPUs of an engine may be on several nodes."
    )
    shared_folder: bool = Field(
        default=False,
        description="All nodes share the run folder, though it looks like a disk of this machine.",
    )
    allow_unauthenticated: bool = Field(
        default=False, description="Join a Ray cluster that asks nobody for a token."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Where Prometheus finds the metrics of a Ray that is started here.",
    )
    stall_timeout_s: float = Field(
        default=120.0,
        gt=0,
        description="Seconds after which a process that answers nothing is replaced.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.local and self.engines > 1:
            raise InputError(f"engines must be 1 when local is true, got {self.engines}")
        if self.local and self.workers > 1:
            raise InputError(f"workers must be 1 when local is true, got {self.workers}")
        if self.local and self.reward_engines > 1:
            count = self.reward_engines
            raise InputError(f"reward_engines must be 1 when local is true, got {count}")
        if self.local and self.metrics_port is not None:
            raise InputError(
                f"metrics_port must be left out when local is true, got {self.metrics_port}"
            )
        if self.address is not None and self.metrics_port is not None:
            rule = "be left out with an address: that Ray has its own"
            raise InputError(f"metrics_port must {rule}, got {self.metrics_port}")
        if self.local and self.address is not None:
            raise InputError(f"address must be left out when local is true, got {self.address!r}")
        for key in ("engines_span_nodes", "shared_folder", "allow_unauthenticated"):
            if self.local and getattr(self, key):
                raise InputError(f"{key} must be left out when local is true, got True")
        return self

    def build(self) -> Cluster:
        """Build the orchestrator's settings; not for `local`, which has no cluster."""
        return Cluster(
            address=self.address,
            engines=self.engines,
            workers=self.workers,
            reward_engines=self.reward_engines,
            cpus_per_engine=self.cpus_per_engine,
            gpus_per_engine=self.gpus_per_engine,
            engines_span_nodes=self.engines_span_nodes,
            shared_folder=self.shared_folder,
            allow_unauthenticated=self.allow_unauthenticated,
            metrics_port=self.metrics_port,
            stall_timeout_s=self.stall_timeout_s,
        )
