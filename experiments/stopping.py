"""Which runs stopped drawing by what they saw, and what that does to estimates from their samples.

Where drawing ends when the samples agree, those that are there agree more than others would: the
mean over them is no longer that of a sample.
"""

from __future__ import annotations

from experiments.strategy_section import KINDS
from orchestrator.store_files import StrPath
from orchestrator.store_read import read_manifest


def stopping_notes(run: StrPath) -> tuple[str, ...]:
    """A warning where how many samples there are depends on what they say."""
    strategy = read_manifest(run).config.get("strategy")
    if not isinstance(strategy, dict):
        return ()
    return tuple(
        f"how many samples were drawn depended on what they said (strategy.{kind}): the mean of "
        "one sample, and all curves, are biased"
        for kind in KINDS
        if strategy.get(kind) is not None
    )
