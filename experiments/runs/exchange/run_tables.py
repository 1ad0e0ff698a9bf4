"""`nbest.load`: the questions, samples and answers of a run as Arrow tables.

Pandas takes them by `.to_pandas()`, polars by `polars.from_arrow`, DuckDB as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from nbest.experiments.questions.prompts import prompt_text, question_text
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import cases_of, reading_of
from nbest.experiments.runs.exchange.export_answers import answer_rows, answer_schema
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.selectors import named_scorers
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Sample

_QUESTIONS: Mapping[str, pa.DataType] = {
    "id": pa.string(),
    "question": pa.string(),
    "prompt": pa.string(),  # a chat as one text, its turns one after the other
    "gold": pa.string(),
    "samples": pa.int64(),
    "right": pa.int64(),  # samples; null where nobody can tell
    "tokens": pa.int64(),  # generated for all samples
}
_SAMPLES: Mapping[str, pa.DataType] = {
    "id": pa.string(),  # of the question
    "index": pa.int64(),  # of the sample
    "text": pa.string(),
    "reasoning": pa.string(),
    "answer": pa.string(),  # null: none was found, or the sample did not end well
    "right": pa.bool_(),  # null where nobody can tell
    "status": pa.string(),
    "tokens": pa.int64(),  # generated
    "seconds": pa.float64(),  # from the request to its end
    "mean_logprob": pa.float64(),  # nats, before temperature; null where none is kept
    "arm": pa.string(),
}


@dataclass(frozen=True)
class RunTables:
    """The tables of a run, each read when it is first wanted.

    `answers` has a row for each question and selector, with the columns of `nbest export --format
    answers`.
    """

    run: StrPath
    selectors: tuple[str, ...] | None  # None: the run's own

    @cached_property
    def questions(self) -> pa.Table:
        """A row for each question that has samples."""
        gold = read_gold(self.run)
        rows = [
            {
                "id": case.query.id,
                "question": question_text(case.query),
                "prompt": prompt_text(case.query),
                "gold": gold[case.query.id].answer if case.query.id in gold else None,
                "samples": len(case.candidates),
                "right": _right(case),
                "tokens": case.tokens,
            }
            for case in self._cases
        ]
        return pa.Table.from_pylist(rows, schema=pa.schema(_QUESTIONS))

    @cached_property
    def samples(self) -> pa.Table:
        """A row for each sample."""
        rows = [row for case in self._cases for row in _sample_rows(case)]
        return pa.Table.from_pylist(rows, schema=pa.schema(_SAMPLES))

    @cached_property
    def answers(self) -> pa.Table:
        """A row for each question and selector."""
        rows = [asdict(row) for row in answer_rows(self.run, self.selectors)]
        return pa.Table.from_pylist(rows, schema=answer_schema())

    @cached_property
    def _cases(self) -> list[Case]:
        reader = RunReader(self.run)
        scorers = named_scorers(self.selectors, reader)
        return cases_of(reader, reading_of(reader), scorers.values())


def load(run: StrPath, selectors: Sequence[str] | None = None) -> RunTables:
    """Open a run as tables: `load("runs/demo").answers.to_pandas()`.

    None stands for the selectors of the run's config. InputError where there is no run.
    """
    RunReader(run)  # refuses a folder that is no run
    return RunTables(run=run, selectors=None if selectors is None else tuple(selectors))


def _right(case: Case) -> int | None:
    return sum(worth == 1.0 for worth in case.worths) if case.is_graded else None


def _sample_rows(case: Case) -> Iterator[dict[str, Any]]:
    for sample, answer in zip(case.candidates.samples, case.candidates.answers, strict=True):
        yield {
            "id": case.query.id,
            "index": index_of(sample.id),
            "text": sample.text,
            "reasoning": sample.reasoning,
            "answer": answer,
            "right": None if answer is None else case.is_right(answer),
            "status": sample.status.value,
            "tokens": sample.generated_tokens,
            "seconds": sample.total_s,
            "mean_logprob": mean_logprob(sample),
            "arm": sample.arm,
        }


def mean_logprob(sample: Sample) -> float | None:
    """The mean log-probability of a sample's tokens in nats; None where none is kept."""
    mean = float(np.mean(sample.logprobs)) if sample.logprobs else math.nan
    return mean if math.isfinite(mean) else None
