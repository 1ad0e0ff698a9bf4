"""Examples for a verifier from runs: graded responses, or a person's choices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from nbest.experiments.runs.cases import load_cases
from nbest.model_backend.verifier.data import Graded, Preference
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.choices import read_choices
from nbest.orchestrator.store.reader import RunReader


def graded_examples(
    runs: Sequence[StrPath], extract: str | None = None, grade: str | None = None
) -> list[Graded]:
    """Every sample with an answer that could be graded; InputError where there is none.

    The prompt identifies a question, for two runs may ask the same under two names.
    """
    examples = [example for run in runs for example in _graded(run, extract, grade)]
    if not examples:
        raise InputError(f"runs must hold graded samples, {_named(runs)} have none")
    return examples


def tree_examples(
    runs: Sequence[StrPath], extract: str | None = None, grade: str | None = None
) -> list[Graded]:
    """The steps of searched runs, by the chains below them; InputError where there are none.

    What an answer says after a step is an example for each graded chain that goes through there: so
    a model learns the share of these that are right, as of rollouts (Math-Shepherd: Wang et al.
    2024, arXiv 2312.08935). Steps below which nothing came to its end have none.
    """
    examples = [example for run in runs for example in _of_tree(run, extract, grade)]
    if not examples:
        rule = "hold graded chains of a search (strategy.search)"
        raise InputError(f"runs must {rule}, {_named(runs)} have none")
    return examples


def preference_examples(runs: Sequence[StrPath]) -> list[Preference]:
    """Pairs of what people chose with `nbest pick` and what else they saw; InputError if none."""
    pairs = [pair for run in runs for pair in _preferred(run)]
    if not pairs:
        raise InputError(f"runs must hold choices (nbest pick), {_named(runs)} have none")
    return pairs


def _graded(run: StrPath, extract: str | None, grade: str | None) -> Iterator[Graded]:
    for case in load_cases(run, extract, grade):
        pairs = zip(case.candidates.samples, case.candidates.answers, strict=True)
        for sample, answer in pairs:
            verdict = math.nan if answer is None else case.verdicts[answer]
            if not math.isnan(verdict):
                prompt = case.query.prompt
                yield Graded(
                    question=repr(prompt),
                    prompt=prompt,
                    response=sample.text,
                    is_right=verdict == 1.0,
                )


def _of_tree(run: StrPath, extract: str | None, grade: str | None) -> Iterator[Graded]:
    for case in load_cases(run, extract, grade):
        for answer, steps in zip(case.candidates.answers, case.steps, strict=False):
            verdict = math.nan if answer is None else case.verdicts[answer]
            if math.isnan(verdict):
                continue
            for prefix in accumulate(steps):
                yield Graded(
                    question=repr(case.query.prompt),
                    prompt=case.query.prompt,
                    response=prefix,
                    is_right=verdict == 1.0,
                )


def _preferred(run: StrPath) -> Iterator[Preference]:
    reader, choices = RunReader(run), read_choices(run)
    samples = dict(reader.samples(columns=["text"]))
    for query in reader.queries:
        choice = choices.get(query.id)
        if choice is None or choice.index is None:
            continue
        texts = {index_of(sample.id): sample.text for sample in samples.get(query.id, ())}
        chosen = texts.get(choice.index)
        if chosen is not None:
            for rejected in sorted(set(choice.rejected(texts))):
                yield Preference(
                    question=repr(query.prompt),
                    prompt=query.prompt,
                    chosen=chosen,
                    rejected=rejected,
                )


def _named(runs: Sequence[StrPath]) -> str:
    return ", ".join(repr(str(run)) for run in runs)
