"""Exports the answers of a run: what each selector chooses, one row a question and selector."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import IO, TYPE_CHECKING

from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.prompts import question_text
from nbest.experiments.questions.reading import Reading
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import each_case, in_turn, reading_of
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.selectors import named_scorers
from nbest.experiments.runs.stored_calls import NotAsked
from nbest.orchestrator.errors import error_text
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Selection, Status

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 4096  # rows of a table that are written together


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """What one selector chose for one question."""

    id: str
    question: str
    select: str
    answer: str | None  # None: it abstained, or failed
    index: int | None  # of the sample that was chosen, as in its id; None: none was
    text: str | None  # of that sample
    confidence: float | None  # the share of the answers that agree
    runner_up: str | None  # the best scored of the other answers
    outcome: str  # answered, abstained, or `failed: WHY`
    gold: str | None
    correct: bool | None  # None: nobody can tell
    samples: int
    truncated: int  # of the samples, how many were cut off
    tokens: int  # generated for all of the samples


COLUMNS = tuple(field.name for field in fields(AnswerRow))


def answer_rows(run: StrPath, selectors: Sequence[str] | None = None) -> Iterator[AnswerRow]:
    """Yield the rows in the order of the questions; None stands for the run's own selectors."""
    reader = RunReader(run)
    yield from rows_chosen(reader, named_scorers(selectors, reader), reading_of(reader))


def rows_chosen(
    run: RunReader, scorers: Mapping[str, Scorer], reading: Reading
) -> Iterator[AnswerRow]:
    """Yield the rows of scorers and a reading that are built already."""
    gold = read_gold(run.path)
    cases = each_case(run, reading, scorers.values(), gold=gold)
    for rows in in_turn(_chosen(cases, scorers, gold)):
        yield from rows


async def _chosen(
    cases: AsyncIterator[Case], scorers: Mapping[str, Scorer], gold: Mapping[str, Gold]
) -> AsyncIterator[list[AnswerRow]]:
    async for case in cases:
        answer = gold.get(case.query.id)
        yield [await answer_row(name, scorer, case, answer) for name, scorer in scorers.items()]


async def answer_row(name: str, scorer: Scorer, case: Case, gold: Gold | None) -> AnswerRow:
    """The row of a question and a selector; where the selector fails, its outcome says so."""
    selection: Selection | None = None
    failure = ""
    try:
        selection = await select(case.query, case.candidates, scorer)
    except NotAsked:  # no question can be answered by it
        raise
    # A scorer may be a plugin, and it reads what a model wrote.
    except Exception as error:  # noqa: BLE001
        failure = f"failed: {error_text(error)}"
    samples = case.candidates.samples
    answer = selection.answer if selection else None
    index = selection.index if selection else None
    return AnswerRow(
        id=case.query.id,
        question=question_text(case.query),
        select=name,
        answer=answer,
        index=None if index is None else index_of(samples[index].id),
        text=None if index is None else samples[index].text,
        confidence=_or_none(selection.confidence) if selection else None,
        runner_up=_runner_up(case, selection) if selection else None,
        outcome=failure or ("abstained" if answer is None else "answered"),
        gold=gold.answer if gold else None,
        correct=case.is_right(answer) if selection else None,
        samples=len(samples),
        truncated=sum(sample.status is Status.TRUNCATED for sample in samples),
        tokens=case.tokens,
    )


def _runner_up(case: Case, selection: Selection) -> str | None:
    """The answer of the best scored candidate that does not give the chosen one."""
    pairs = zip(case.candidates.answers, selection.scores.tolist(), strict=True)
    others = [(score, a) for a, score in pairs if a not in (None, selection.answer)]
    scored = [(score, answer) for score, answer in others if not math.isnan(score)]
    return max(scored, key=lambda pair: pair[0], default=(0.0, None))[1]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def json_lines(rows: Iterable[AnswerRow]) -> Iterator[str]:
    """Yield a JSON object a row."""
    for row in rows:
        yield json.dumps(asdict(row), ensure_ascii=False)


def csv_lines(rows: Iterable[AnswerRow]) -> Iterator[str]:
    """Yield the header and the rows as CSV; what is None is an empty cell."""
    yield _csv_line(COLUMNS)
    for row in rows:
        yield _csv_line([_cell(getattr(row, name)) for name in COLUMNS])


def _csv_line(values: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def write_table(rows: Iterable[AnswerRow], stream: IO[bytes]) -> int:
    """Write the rows as a Parquet table, a batch at a time; returns their number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = answer_schema()
    count = 0
    remaining = iter(rows)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        while batch := [asdict(row) for row in islice(remaining, BATCH)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def answer_schema() -> pa.Schema:
    """The columns of a table of answers, with their types."""
    import pyarrow as pa

    kinds = {
        "confidence": pa.float64(),
        "correct": pa.bool_(),
        **dict.fromkeys(("index", "samples", "truncated", "tokens"), pa.int64()),
    }
    return pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in COLUMNS])
