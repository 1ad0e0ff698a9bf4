"""Exports the samples of a run for other programs: lines of the pool format, or one table.

`nbest import` reads what `--format jsonl` writes: answers and scores come back as they were.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import each_case, in_turn, reading_of
from nbest.experiments.runs.exchange.pool_lines import STATUS_OF_FINISH
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Sample, Status, TopLogprobs

FINISH_OF_STATUS: Mapping[Status, str] = {
    Status.TRUNCATED: "length",
    Status.CANCELLED: "abort",
    Status.ERROR: "error",
}
assert all(STATUS_OF_FINISH[name] is status for status, name in FINISH_OF_STATUS.items())


def pool_lines(run: StrPath) -> Iterator[str]:
    """Yield one JSON object a question, in the order of the run."""
    from nbest.experiments.runs.gold_file import read_gold

    gold = read_gold(run)
    reader = RunReader(run)
    drawn = reader.manifest.config.get("strategy")
    for case in in_turn(each_case(reader, reading_of(reader))):
        line: dict[str, object] = {"id": case.query.id}
        if case.query.id in gold:
            line["gold"] = gold[case.query.id].answer
        if isinstance(case.query.prompt, tuple):
            turns = [{"role": m.role, "content": m.content} for m in case.query.prompt]
            line["messages"] = turns
        elif case.query.prompt:
            line["prompt"] = case.query.prompt
        if case.query.meta:
            line["meta"] = dict(case.query.meta)
        if case.cluster is not None:
            line["cluster"] = case.cluster
        if drawn:
            line["strategy"] = drawn
        line["samples"] = [_sample(case, i) for i in range(len(case.candidates))]
        yield json.dumps(line)


def _sample(case: Case, i: int) -> dict[str, object]:
    sample: Sample = case.candidates.samples[i]
    entry: dict[str, object] = {"answer": case.candidates.answers[i], "text": sample.text}
    if sample.reasoning:
        entry["reasoning"] = sample.reasoning
    if sample.arm:
        entry["arm"] = sample.arm
    entry["tokens"] = sample.generated_tokens
    if sample.status in FINISH_OF_STATUS:
        entry["finish_reason"] = FINISH_OF_STATUS[sample.status]
    entry |= _costs(sample)
    if sample.logprobs is not None:
        entry["logprobs"] = list(sample.logprobs)
    if sample.top_logprobs is not None:
        entry |= _likeliest(sample.top_logprobs)
    numbers = {name: float(scores[i]) for name, scores in case.candidates.scores.items()}
    if numbers:
        entry["scores"] = {n: None if math.isnan(score) else score for n, score in numbers.items()}
    return entry


def _costs(sample: Sample) -> dict[str, object]:
    """What a sample cost besides its tokens, where that is known."""
    costs = {"prompt_tokens": sample.prompt_tokens, "seconds": sample.total_s}
    return {name: cost for name, cost in costs.items() if cost}


def _likeliest(top: TopLogprobs) -> dict[str, object]:
    """The likeliest tokens at each position, as lists [T, k]."""
    entry: dict[str, object] = {"top_logprobs": top.array().tolist()}
    if top.texts:
        rows = range(0, len(top.texts), top.k)
        entry["top_tokens"] = [list(top.texts[row : row + top.k]) for row in rows]
    return entry


def samples_table(run: StrPath) -> bytes:
    """A Parquet table, one row a sample: ids, text, answer, verdict, status, tokens, scores."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    reader = RunReader(run)
    cases = in_turn(each_case(reader, reading_of(reader)))
    rows = [_row(case, i) for case in cases for i in range(len(case.candidates))]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def _row(case: Case, i: int) -> dict[str, object]:
    sample, answer = case.candidates.samples[i], case.candidates.answers[i]
    verdict = math.nan if answer is None else case.verdicts[answer]
    return {
        "query_id": case.query.id,
        "sample_id": sample.id,
        "text": sample.text,
        "answer": answer,
        "is_right": None if math.isnan(verdict) else verdict == 1.0,
        "status": str(sample.status),
        "prompt_tokens": sample.prompt_tokens,
        "generated_tokens": sample.generated_tokens,
        "total_s": sample.total_s,
        "mean_logprob": _mean(sample.logprobs),
        **{f"score_{name}": float(scores[i]) for name, scores in case.candidates.scores.items()},
    }


def _mean(values: tuple[float, ...] | None) -> float | None:
    return math.fsum(values) / len(values) if values else None
