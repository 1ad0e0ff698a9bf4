"""Which runs stopped drawing by what they saw, and what that does to estimates from their samples.

Where drawing ends when the samples agree, those that are there agree more than others would: the
mean over them is no longer that of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping

from nbest.experiments.config.strategy import KINDS
from nbest.orchestrator.store.format.manifest import Json


def stopping_notes(config: Mapping[str, Json]) -> tuple[str, ...]:
    """Of the config of a run: a warning where how many samples there are depends on their words."""
    strategy = config.get("strategy")
    if not isinstance(strategy, dict):
        return ()
    return tuple(
        f"how many samples were drawn depended on what they said (strategy.{kind}): the mean of "
        "one sample, and all curves, are biased"
        for kind in KINDS
        if strategy.get(kind) is not None
    )
