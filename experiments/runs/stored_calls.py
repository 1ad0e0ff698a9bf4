"""Stored calls instead of an engine: what a run has asked its model about its samples.

A selector asks its model in `nbest run`; from then on its questions and the replies are in the
store like samples, and the selector can be applied again without an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import AsksModel, Scorer
from nbest.orchestrator.query.model_calls import (
    call_key,
    model_key_by_path,
    models_of,
    rating_key,
)
from nbest.orchestrator.query.parts import nested_parts
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.types import Ask, Candidates, Identity, Message, Sample, model_key


class NotAsked(InputError):
    """Says that the run has not asked its model what a selector wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCalls:
    """Answers calls about one query from what the run has asked already."""

    query_id: str
    find: Callable[[str], Sample | None]  # the reply, by the key of the call
    is_imported: bool = False  # no command draws more samples of an imported run
    model: str = ""  # the key of the model that is asked; empty: the one that sampled

    async def __call__(
        self, name: str, prompt: str | tuple[Message, ...], params: SamplingParams
    ) -> Sample:
        reply = self.find(call_key(self.query_id, name, prompt, params, self.model))
        if reply is None:
            which = "that model" if self.model else "it"
            raise NotAsked(
                f"{name} needs a model to ask, and this run has not asked {which} about "
                f"{self.query_id!r}: {self._advice}"
            )
        return reply

    @property
    def ask(self) -> Ask:
        """The `ask` of a `Sampler`: this object itself."""
        return self

    def ask_model(self, identity: Identity) -> Ask:
        """The `ask` of another model, from what that one has replied."""
        return replace(self, model=model_key(identity))

    async def rate(self, identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]:
        """The stored ratings of the responses; NotAsked where one is missing."""
        for model in (model_key(identity), model_key_by_path(identity)):
            replies = [self.find(rating_key(self.query_id, model, text)) for text in responses]
            ratings = tuple(reply for reply in replies if reply is not None)
            if len(ratings) == len(replies):
                return ratings
        name = identity.get("model", "")
        which = f"the model {name!r}" if name else "the model"
        what = f"{which} has not rated the samples of {self.query_id!r}"
        is_gone = "digest" in identity and identity["digest"] is None
        back = f"; if it has, put its folder back at {name!r}: ratings go by what it holds"
        raise NotAsked(f"{what}: {self._advice}{back if is_gone else ''}")

    @property
    def _advice(self) -> str:
        if self.is_imported:
            return "an imported run has no model; import its numbers as `scores` (docs/pools.md)"
        return "`nbest run` with this selector first in `select` does"


@dataclass(slots=True)
class Meter:
    """Counts what calls have cost, each different call once."""

    samples: dict[str, Sample] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """The tokens that all calls generated."""
        return sum(sample.generated_tokens for sample in self.samples.values())

    @property
    def all_tokens(self) -> int:
        """The tokens that all calls read and generated: a rating only reads."""
        return self.tokens + sum(sample.prompt_tokens for sample in self.samples.values())

    @property
    def seconds(self) -> float:
        """The seconds from request to end, summed over the calls, which may overlap."""
        return sum(sample.total_s for sample in self.samples.values())

    def on(self, candidates: Candidates) -> Candidates:
        """The same candidates, with their calls counted here."""
        ask, ask_model, rate = candidates.ask, candidates.ask_model, candidates.rate

        def metered_model(identity: Identity) -> Ask:
            assert ask_model is not None
            return self._metered(ask_model(identity))

        async def metered_rate(identity: Identity, responses: Sequence[str]) -> tuple[Sample, ...]:
            assert rate is not None
            samples = await rate(identity, responses)
            self.samples.update({sample.id: sample for sample in samples})
            return samples

        return replace(
            candidates,
            ask=ask and self._metered(ask),
            ask_model=ask_model and metered_model,
            rate=rate and metered_rate,
        )

    def _metered(self, ask: Ask) -> Ask:
        async def metered(
            name: str, prompt: str | tuple[Message, ...], params: SamplingParams
        ) -> Sample:
            sample = await ask(name, prompt, params)
            self.samples[sample.id] = sample
            return sample

        return metered


def asks_model(scorer: Scorer) -> bool:
    """Whether a scorer, or a part of it, asks any model: the one that samples or one of its own."""
    return bool(models_of(scorer)) or asks_sampling_model(scorer)


def asks_sampling_model(scorer: Scorer) -> bool:
    """Whether a scorer, or a part of it, asks the model that made the candidates."""
    parts = asking_parts(scorer)
    return any(isinstance(part, AsksModel) and part.asks_model for part in parts)


def require_first(scorers: Mapping[str, Scorer]) -> None:
    """Raise InputError where a selector that asks a model is not the first of a run.

    The first gives the run's answers while the engines are there; the others are applied to what
    is stored. They may use what the first one's models have rated, and replies to its very
    questions.
    """
    first = next(iter(scorers.values()))
    asked, rated = asking_parts(first), rating_models(first)
    for name in list(scorers)[1:]:
        others = [part for part in asking_parts(scorers[name]) if part not in asked]
        if others or rating_models(scorers[name]) - rated:
            rule = "name a selector that asks a model first, for only the first can ask"
            raise InputError(f"select must {rule}, got {name!r} after {next(iter(scorers))!r}")


def rating_models(part: object) -> set[str]:
    """The keys of the models that rate responses for a selector; those that are asked left out."""
    models = set(models_of(part))
    return models - {key for asking in asking_parts(part) for key in models_of(asking)}


def asking_parts(part: object) -> list[object]:
    """The parts of a selector that put questions to a model, whichever it is."""
    return list(nested_parts(part, lambda inner: isinstance(inner, AsksModel)))
