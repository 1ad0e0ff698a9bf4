"""Warnings about runs that are not what a table of them seems to say.

Where drawing ends when the samples agree, those that were drawn agree more than others would: the
mean over them no longer estimates what one sample is worth. And a run that is not finished lacks
questions: those that take long, most likely.
"""

from __future__ import annotations

from collections.abc import Mapping

from nbest.experiments.config.strategy import KINDS
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader


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


def run_notes(run: RunReader) -> tuple[str, ...]:
    """All warnings about a run, for whoever reads it."""
    return (*unfinished_notes(run), *stopping_notes(run.manifest.config))


def unfinished_notes(run: RunReader) -> tuple[str, ...]:
    """The warning for a run in which questions have no outcome yet; a pool has no outcomes."""
    if run.manifest.config.get("imported"):
        return ()
    ended = run.ended()
    missing = sum(query_id not in ended for query_id in run.query_ids)
    if not missing:
        return ()
    have = f"{missing} of {len(run.query_ids)} questions have no outcome yet"
    return (f"unfinished: {have} (the same `nbest run` goes on with them)",)
