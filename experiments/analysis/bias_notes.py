"""Warnings for runs whose strategy ended the drawing by what the samples said.

Where drawing ends when the samples agree, those that were drawn agree more than others would: the
mean over them no longer estimates what one sample is worth.
"""

from __future__ import annotations

from collections.abc import Mapping

from nbest.experiments.config.strategy import KINDS
from nbest.orchestrator.store.format.manifest import Json


def stopping_notes(config: Mapping[str, Json]) -> tuple[str, ...]:
    """The warnings for a run's config: does the number of samples depend on what they say?"""
    strategy = config.get("strategy")
    if not isinstance(strategy, dict):
        return ()
    return tuple(
        f"how many samples were drawn depended on what they said (strategy.{kind}): the mean of "
        "one sample, and all curves, are biased"
        for kind in KINDS
        if strategy.get(kind) is not None
    )
