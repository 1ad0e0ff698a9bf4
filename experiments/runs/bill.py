"""What a run has cost, by model, and in money where a model has a price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nbest.orchestrator.protocols import BackendConfig, NamedModel
from nbest.orchestrator.query.tally import usage_of
from nbest.orchestrator.types import Sample, Usage

MILLION = 1_000_000
OWN = "model"  # what the run's own model is called beside others
REWARD = "reward models"
REWARD_ENGINE = "reward"
COUNTS = ("engine", "prompt_tokens", "cached_tokens", "generated_tokens")


def dollars(price: Mapping[str, float], usage: Usage) -> float:
    """The cost of tokens at `input`, `cached` and `output` dollars for a million of them.

    Cached prompt tokens cost what others cost, where they have no price of their own.
    """
    read = price.get("input", 0.0)
    fresh = usage.prompt_tokens - usage.cached_tokens
    cost = fresh * read + usage.cached_tokens * price.get("cached", read)
    return (cost + usage.generated_tokens * price.get("output", 0.0)) / MILLION


def bill_lines(
    backend: BackendConfig,
    models: Iterable[NamedModel],
    samples: Iterable[tuple[str, Sequence[Sample]]],
) -> list[str]:
    """A line for each model of a run with several: what its samples have cost, in the end all.

    `samples` are those of each question, and of each call of a scorer; the name of the engine that
    made one begins with that of its model.
    """
    settings = {OWN: backend, **{model.name: model.settings for model in models}}
    drawn: dict[str, list[Sample]] = {name: [] for name in (*settings, REWARD)}
    for _, of_question in samples:
        for sample in of_question:
            if sample.engine:  # a call that failed has cost nothing that is known
                drawn.setdefault(_model_of(sample.engine), []).append(sample)
    lines = []
    for name, of_model in drawn.items():
        if of_model:
            tokens = bill_line(_price(settings.get(name)), usage_of(of_model))
            lines.append(f"{name}: {len(of_model):,} samples, {tokens}")
    return lines


def _model_of(engine: str) -> str:
    """The name of a model in that of its engine: `large-0`, `engine0`, `reward1`.

    A server says after an `@` which of its own versions it was.
    """
    engine = engine.partition("@")[0]
    name = engine.rpartition("-")[0]
    return name or (REWARD if engine.startswith(REWARD_ENGINE) else OWN)


def _price(settings: BackendConfig | None) -> Mapping[str, float]:
    price: Mapping[str, float] = getattr(settings, "price", {})
    return price


def bill_line(price: Mapping[str, float], usage: Usage) -> str:
    """Say what tokens there were, and what they have cost where they have a price."""
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    tokens = (
        f"{usage.prompt_tokens:,} prompt tokens{cached} and {usage.generated_tokens:,} generated"
    )
    return f"${dollars(price, usage):,.4f} for {tokens}" if price else tokens
