"""What a run has cost in money, where the model has a price."""

from __future__ import annotations

from collections.abc import Mapping

from nbest.orchestrator.types import Usage

MILLION = 1_000_000


def dollars(price: Mapping[str, float], usage: Usage) -> float:
    """The cost of tokens at `input`, `cached` and `output` dollars for a million of them.

    Cached prompt tokens cost what others cost, where they have no price of their own.
    """
    read = price.get("input", 0.0)
    fresh = usage.prompt_tokens - usage.cached_tokens
    cost = fresh * read + usage.cached_tokens * price.get("cached", read)
    return (cost + usage.generated_tokens * price.get("output", 0.0)) / MILLION


def bill_line(price: Mapping[str, float], usage: Usage) -> str:
    """Say what the questions of a run have cost, whenever their samples were drawn."""
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    return (
        f"price: ${dollars(price, usage):,.4f} for {usage.prompt_tokens:,} prompt tokens{cached} "
        f"and {usage.generated_tokens:,} generated"
    )
