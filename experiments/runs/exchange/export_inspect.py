"""Exports a run as a log that `inspect view` opens: a sample of ours is an epoch there."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib import metadata
from typing import IO, Any

from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import each_case, in_turn, reading_of
from nbest.experiments.runs.exchange.export_answers import answer_row
from nbest.experiments.runs.gold_file import read_gold
from nbest.experiments.runs.selectors import known_scorers, model_name_of
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.protocols import Scorer
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query, Sample, Status

Json = dict[str, Any]

STOP_REASONS: Mapping[Status, str] = {
    Status.TRUNCATED: "max_tokens",
    Status.ERROR: "unknown",
    Status.CANCELLED: "unknown",
}
SCORER = "nbest"  # the name of our grading among Inspect's scores


def write_inspect_log(run: StrPath, stream: IO[bytes]) -> int:
    """Write the log to a stream; returns the number of samples.

    Each has what its grader says, and which selectors choose it. Selectors that cannot be built
    here are left out.
    """
    reader = RunReader(run)
    scorers, _ = known_scorers(None, reader)
    gold, model = read_gold(run), model_name_of(reader)
    cases = each_case(reader, reading_of(reader), gold=gold)
    count, right, graded = 0, 0.0, 0
    ids: list[str] = []
    epochs = 1
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        summaries = []
        for case, chosen in in_turn(_with_choices(cases, scorers, gold)):
            ids.append(case.query.id)
            for document in _documents(case, chosen, gold.get(case.query.id), model):
                name = f"{document['id']}_epoch_{document['epoch']}.json"
                archive.writestr(f"samples/{name}", _dumped(document))
                summaries.append(_summary(document))
                epochs = max(epochs, document["epoch"])
                count += 1
            known = [worth for worth in case.worths if not math.isnan(worth)]
            graded, right = graded + len(known), right + sum(known)
        archive.writestr("summaries.json", _dumped(summaries))
        accuracy = right / graded if graded else None
        header = _header(reader, model, ids, epochs, count, accuracy)
        archive.writestr("_journal/start.json", _dumped(_start(header)))
        archive.writestr("header.json", _dumped(header))
    return count


async def _with_choices(cases: Any, scorers: Mapping[str, Scorer], gold: Mapping[str, Gold]) -> Any:
    """Each case, with the selectors that choose each of its samples by index."""
    async for case in cases:
        chosen: dict[int, list[str]] = {}
        for name, scorer in scorers.items():
            row = await answer_row(name, scorer, case, gold.get(case.query.id))
            if row.index is not None:
                chosen.setdefault(row.index, []).append(name)
        yield case, chosen


def _documents(
    case: Case, chosen: Mapping[int, list[str]], gold: Gold | None, model: str
) -> Iterator[Json]:
    """The samples of a question as Inspect writes them."""
    candidates = case.candidates
    for sample, answer in zip(candidates.samples, candidates.answers, strict=True):
        index = index_of(sample.id)
        messages = _messages(case.query)
        value = _value(case, sample, answer)
        yield {
            "id": case.query.id,
            "epoch": index + 1,
            "input": messages if len(messages) > 1 else messages[0]["content"],
            "target": "" if gold is None else gold.answer,
            "messages": [*messages, _reply(sample)],
            "output": _output(sample, model),
            "scores": {} if value is None else {SCORER: {"value": value, "answer": answer}},
            "metadata": {"chosen_by": chosen.get(index, []), "status": sample.status.value},
            "store": {},
            "events": [],
            "attachments": {},
            "model_usage": {model or "unknown": _usage(sample)},
            "total_time": sample.total_s,
            **({"error": _error(sample)} if sample.status is Status.ERROR else {}),
        }


def _value(case: Case, sample: Sample, answer: str | None) -> str | None:
    """`C` for right, `I` for wrong and for no answer; None where nobody can tell."""
    verdict = case.is_right(answer)
    if verdict is None or sample.status in (Status.ERROR, Status.CANCELLED):
        return None
    return "C" if verdict else "I"


def _messages(query: Query) -> list[Json]:
    if isinstance(query.prompt, str):
        return [{"role": "user", "content": query.prompt}]
    return [{"role": turn.role, "content": turn.content} for turn in query.prompt]


def _reply(sample: Sample) -> Json:
    content: object = sample.text
    if sample.reasoning:
        content = [
            {"type": "reasoning", "reasoning": sample.reasoning},
            {"type": "text", "text": sample.text},
        ]
    return {"role": "assistant", "content": content, "source": "generate"}


def _output(sample: Sample, model: str) -> Json:
    stop = STOP_REASONS.get(sample.status, "stop")
    return {
        "model": model or "unknown",
        "choices": [{"message": _reply(sample), "stop_reason": stop}],
        "completion": sample.text,
        "usage": _usage(sample),
        "time": sample.total_s,
    }


def _usage(sample: Sample) -> Json:
    return {
        "input_tokens": sample.prompt_tokens,
        "output_tokens": sample.generated_tokens,
        "total_tokens": sample.prompt_tokens + sample.generated_tokens,
    }


def _error(sample: Sample) -> Json:
    text = sample.error or "failed"
    return {"message": text, "traceback": text, "traceback_ansi": text}


def _summary(document: Json) -> Json:
    """What Inspect lists of a sample."""
    keys = ("id", "epoch", "input", "target", "metadata", "scores", "model_usage", "total_time")
    summary = {key: document[key] for key in keys}
    if "error" in document:
        summary["error"] = document["error"]["message"]
    return summary


def _header(
    run: RunReader, model: str, ids: list[str], epochs: int, count: int, accuracy: float | None
) -> Json:
    """The head of the log; its ids follow from the run, so the same run gives the same log."""
    manifest, name = run.manifest, run_name(run.path)
    key = sha256(f"{name} {manifest.created}".encode()).hexdigest()[:22]
    scores = [] if accuracy is None else [_score("accuracy", accuracy)]
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": key,
            "run_id": key,
            "created": manifest.created,
            "task": name,
            "task_id": key,
            "task_version": 0,
            "task_args": {},
            "dataset": {"name": name, "samples": len(ids), "sample_ids": ids, "shuffled": False},
            "model": model or "unknown",
            "model_args": {},
            "config": {"epochs": epochs},
            "packages": {"nbest": metadata.version("nbest")},
            "metadata": {"seed": manifest.config.get("seed")},
        },
        "plan": {"name": "nbest", "steps": [], "config": _generation(run)},
        "results": {"total_samples": count, "completed_samples": count, "scores": scores},
        "stats": {"started_at": manifest.created, "completed_at": manifest.created},
    }


def _score(metric: str, value: float) -> Json:
    return {
        "name": SCORER,
        "scorer": SCORER,
        "params": {},
        "metrics": {metric: {"name": metric, "value": value, "params": {}}},
    }


def _generation(run: RunReader) -> Json:
    """The settings of sampling that Inspect has, too."""
    sampling = run.manifest.config.get("sampling")
    keys = ("temperature", "top_p", "top_k", "max_tokens")
    found = {key: sampling.get(key) for key in keys} if isinstance(sampling, Mapping) else {}
    if found.get("top_k") == 0:  # all tokens; Inspect has no number for that
        del found["top_k"]
    return {key: value for key, value in found.items() if value is not None}


def _start(header: Json) -> Json:
    return {key: header[key] for key in ("version", "eval", "plan")}


def _dumped(document: object) -> str:
    return json.dumps(document, ensure_ascii=True)
