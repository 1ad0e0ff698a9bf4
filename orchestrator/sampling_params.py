"""How one sample is drawn: the settings of a request that decide what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nbest.orchestrator.requirements import require, require_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What the engine forces every sample to look like; exactly one field is set.

    Example: `Constraint(choice=("yes", "no"))`
    """

    json: str | None = None  # a JSON schema, as JSON text
    regex: str | None = None
    choice: tuple[str, ...] | None = None
    grammar: str | None = None  # EBNF, in the dialect of the engine

    def __post_init__(self) -> None:
        kinds = [k for k in ("json", "regex", "choice", "grammar") if getattr(self, k) is not None]
        rule = "set exactly one of json, regex, choice, grammar"
        require(len(kinds) == 1, "constraint", rule, kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceFloor:
    """Ends a sample as truncated once the model has been too unsure for a whole window of tokens.

    Confidence is minus the mean log-probability of the k likeliest tokens of a position, in nats.
    """

    level: float  # nats: the mean over a window must not be below it
    window: int = 2048  # positions
    k: int = 20

    def __post_init__(self) -> None:
        require(self.level == self.level, "level", "be a number", self.level)
        require(self.window >= 1, "window", "be at least 1", self.window)
        require(1 <= self.k <= 20, "k", "lie in 1..20", self.k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How much a thinking model thinks before it answers.

    Example: `Thinking(enabled=False)`, `Thinking(effort="low")`, `Thinking(budget=1024)`
    """

    enabled: bool | None = None  # None: as the model does by itself
    effort: str | None = None  # a level that the model knows by this name
    budget: int | None = None  # tokens of thought; at the last one it is ended by force

    def __post_init__(self) -> None:
        settings = (self.enabled, self.effort, self.budget)
        rule = "say on or off, an effort or a budget"
        require(settings != (None, None, None), "thinking", rule, "nothing")
        require(self.effort is None or bool(self.effort), "effort", "be named", self.effort)
        budget = self.budget
        require(budget is None or budget >= 0, "budget", "be at least 0 tokens", budget)
        is_off = self.enabled is False and settings[1:] != (None, None)
        require(not is_off, "thinking", "be on to have an effort or a budget", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How one sample is drawn, under the names that vLLM and the OpenAI API use.

    Example: `SamplingParams(temperature=0.8, max_tokens=64, stop=("\\n",))`
    """

    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    top_k: int = 0  # 0 keeps every token
    min_p: float = 0.0
    presence_penalty: float = 0.0  # above 0: fewer tokens that the answer has already
    frequency_penalty: float = 0.0  # the same, the more often it has them
    repetition_penalty: float = 1.0  # above 1: fewer tokens that prompt or answer have already
    max_tokens: int = 256
    min_tokens: int = 0  # before an end of text or a stop
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    bad_words: tuple[str, ...] = ()  # texts that must not be written
    allowed_token_ids: tuple[int, ...] = ()  # no others; none: all
    logit_bias: tuple[tuple[int, float], ...] = ()  # token ids, and what is added to their logits
    skip_special_tokens: bool = True  # in the text
    spaces_between_special_tokens: bool = True
    logprobs: int | None = None  # None: none; 0: of the sampled tokens; k: and the top k
    constraint: Constraint | None = None
    thinking: Thinking | None = None  # of a thinking model; None: as it does by itself
    token_texts: bool = False  # with logprobs=k: the k likeliest tokens as text too
    floor: ConfidenceFloor | None = None  # with logprobs=k or more; set by strategies

    def with_logprobs(self, *wanted: int | None) -> SamplingParams:
        """The same with the log-probabilities of whoever wants most of them; None wants none."""
        most = max((k for k in (self.logprobs, *wanted) if k is not None), default=None)
        return self if most == self.logprobs else replace(self, logprobs=most)

    def __post_init__(self) -> None:
        require(0.0 <= self.temperature <= 2.0, "temperature", "lie in [0, 2]", self.temperature)
        require(0.0 < self.top_p <= 1.0, "top_p", "lie in (0, 1]", self.top_p)
        require(self.top_k >= 0, "top_k", "be at least 0 (0 keeps every token)", self.top_k)
        require_share("min_p", self.min_p)
        for name in ("presence_penalty", "frequency_penalty"):
            require(-2.0 <= getattr(self, name) <= 2.0, name, "lie in [-2, 2]", getattr(self, name))
        repeated = self.repetition_penalty
        require(0.0 < repeated < math.inf, "repetition_penalty", "be above 0", repeated)
        require(self.max_tokens >= 1, "max_tokens", "be at least 1", self.max_tokens)
        rule = f"lie in 0..{self.max_tokens}, max_tokens"
        require(0 <= self.min_tokens <= self.max_tokens, "min_tokens", rule, self.min_tokens)
        for name in ("stop", "bad_words"):
            texts = getattr(self, name)
            require(all(texts), name, "hold no empty string", texts)
        for name in ("stop_token_ids", "allowed_token_ids"):
            ids = getattr(self, name)
            require(all(number >= 0 for number in ids), name, "hold token ids, 0 or more", ids)
        fits = all(number >= 0 and math.isfinite(bias) for number, bias in self.logit_bias)
        require(fits, "logit_bias", "hold token ids, and finite numbers", self.logit_bias)
        require(0 <= (self.logprobs or 0) <= 20, "logprobs", "lie in 0..20", self.logprobs)
        needed = 0 if self.floor is None else self.floor.k
        rule = f"be at least {needed}, the k of the floor"
        require((self.logprobs or 0) >= needed, "logprobs", rule, self.logprobs)
