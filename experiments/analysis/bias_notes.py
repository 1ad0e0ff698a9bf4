"""Warnings about runs that are not what a table of them seems to say.

Where drawing ends when the samples agree, those that were drawn agree more than others would: the
mean over them no longer estimates what one sample is worth. And a run that is not finished lacks
questions: those that take long, most likely.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import islice

from nbest.experiments.config.strategy import KINDS, tree_named
from nbest.experiments.questions.prompts import question_text
from nbest.experiments.runs.cases import cluster_column
from nbest.experiments.runs.gold_file import read_gold
from nbest.orchestrator.store.format.manifest import Json
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query

LOOKED_AT = 2000  # questions: to look at all of a large run takes seconds
MANY_ALIKE = 0.2  # the share of questions from which templates are told of
_NUMBERS = re.compile(r"[-+]?[0-9][0-9,.]*")


def stopping_notes(config: Mapping[str, Json]) -> tuple[str, ...]:
    """The warnings for a run's config: does the number of samples depend on what they say?"""
    strategy = config.get("strategy")
    if not isinstance(strategy, dict):
        return ()
    if (tree := tree_named(strategy)) is not None:
        return (
            f"the samples are of a tree (strategy.{tree}) and depend on each other: "
            "the mean of one sample, and all curves, are biased",
        )
    return tuple(
        f"how many samples were drawn depended on what they said (strategy.{kind}): the mean of "
        "one sample, and all curves, are biased"
        for kind in KINDS
        if strategy.get(kind) is not None
    )


def run_notes(run: RunReader) -> tuple[str, ...]:
    """All warnings about a run, for whoever reads it."""
    return (
        *unfinished_notes(run),
        *stopping_notes(run.manifest.config),
        *template_notes(run),
    )


def template_notes(run: RunReader) -> tuple[str, ...]:
    """The warning for questions that differ in nothing but numbers, where no column says so."""
    dataset = run.manifest.config.get("dataset")
    is_generated = isinstance(dataset, dict) and dataset.get("kind") == "reasoning_gym"
    if is_generated or cluster_column(run) is not None or not read_gold(run.path):
        return ()  # a task generates questions independently; without gold there is no interval
    stems = Counter(filter(None, map(_stem, islice(run.each_query(), LOOKED_AT))))
    alike = sum(count for count in stems.values() if count > 1)
    total = stems.total()
    if alike <= MANY_ALIKE * total:
        return ()
    looked = "" if total < LOOKED_AT else "the first "
    kinds = sum(count > 1 for count in stems.values())
    return (
        f"{alike:,} of {looked}{total:,} questions differ from others in their numbers alone "
        f"({kinds:,} template{'s' if kinds > 1 else ''}): intervals take them for independent, "
        "unless dataset.cluster names the column of their templates, or in a pool the key cluster",
    )


def _stem(query: Query) -> str:
    """What is left of a question without its numbers."""
    return _NUMBERS.sub("#", " ".join(question_text(query).split()))


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
