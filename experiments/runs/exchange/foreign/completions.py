"""Questions with a list of completions each, as three programs write them.

large_language_monkeys: `{"question", "gt_answer", "samples": [...], "is_corrects": [...]}`, as JSON
lines or as a YAML file for each question. search-and-learn: `{"problem", "answer", "completions":
[...], "scores": [[...]], "completion_tokens": [...]}`, whose scores are one a step. HumanEval:
`{"task_id", "completion"}`, a row for each sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.runs.exchange.foreign.rows import (
    Format,
    Placed,
    Row,
    as_gold,
    json_rows,
    number_of,
    set_keys,
    texts_of,
)
from nbest.orchestrator.errors import InputError

YAML = (".yaml", ".yml")


def is_monkeys(row: Row) -> bool:
    """Whether a row is a question of large_language_monkeys."""
    samples = row.get("samples")
    return isinstance(samples, list) and bool(samples) and isinstance(samples[0], str)


def is_search(row: Row) -> bool:
    """Whether a row is a question of search-and-learn."""
    return isinstance(row.get("completions"), list)


def is_human_eval(row: Row) -> bool:
    """Whether a row is a sample in HumanEval's format."""
    return "task_id" in row and bool(row.keys() & {"completion", "solution"})


def monkeys_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each question of large_language_monkeys."""
    for file in files:
        rows = [_yaml_row(file)] if file.suffix in YAML else json_rows(file)
        for number, (where, row) in enumerate(rows):
            texts = texts_of(row.get("samples"), where, "samples")
            marks = _of_each(row.get("is_corrects"), texts, where, "is_corrects")
            samples = [
                set_keys({"text": text, "scores": None if mark is None else {"is_correct": mark}})
                for text, mark in zip(texts, map(number_of, marks), strict=True)
            ]
            prompt = row.get("prompt") or row.get("question") or ""
            key = row.get("orig_dset_idx")
            if key is None:
                key = file.stem if file.suffix in YAML else number
            gold = as_gold(row.get("gt_answer"))
            yield where, {"id": str(key), "gold": gold, "prompt": prompt, "samples": samples}


def search_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each question of search-and-learn, with scores by the last step, ..."""
    for file in files:
        for number, (where, row) in enumerate(json_rows(file)):
            texts = texts_of(row.get("completions"), where, "completions")
            steps = _of_each(row.get("scores"), texts, where, "scores")
            tokens = _of_each(row.get("completion_tokens"), texts, where, "completion_tokens")
            samples = [
                set_keys({"text": text, "scores": _of_steps(scores), "tokens": count})
                for text, scores, count in zip(texts, steps, tokens, strict=True)
            ]
            key = number if row.get("unique_id") is None else row["unique_id"]
            prompt = row.get("problem") or ""
            gold = as_gold(row.get("answer"))
            yield where, {"id": str(key), "gold": gold, "prompt": prompt, "samples": samples}


def human_eval_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each task of HumanEval's format, with all samples of all files."""
    lines: dict[str, Placed] = {}
    for file in files:
        for where, row in json_rows(file):
            key = str(row["task_id"])
            _, line = lines.setdefault(key, (where, {"id": key, "samples": []}))
            text = row.get("completion", row.get("solution"))
            if text is None:  # the request failed: it is no answer, and no vote
                line["samples"].append({"text": "", "finish_reason": "error"})
                continue
            if not isinstance(text, str):
                raise InputError(f"{where}: completion must be text, got {shown(text)}")
            passed = number_of(row.get("passed"))
            scores = None if passed is None else {"passed": passed}
            line["samples"].append(set_keys({"text": text, "scores": scores}))
    yield from lines.values()


def _of_steps(steps: object) -> dict[str, float] | None:
    """The score of the last step, the least and the product of all, as a selector may take them."""
    flat = steps[0] if isinstance(steps, list) and steps and isinstance(steps[0], list) else steps
    if isinstance(flat, int | float):
        flat = [flat]
    if not isinstance(flat, list) or not flat:
        return None
    values = [float(step) for step in flat if isinstance(step, int | float)]
    product = 1.0
    for value in values:
        product *= value
    return {"prm": values[-1], "prm_min": min(values), "prm_prod": product} if values else None


def _of_each(values: object, texts: Sequence[str], where: str, key: str) -> list[Any]:
    """A value for each text; None for all where there are none."""
    if values is None:
        return [None] * len(texts)
    if not isinstance(values, list) or len(values) != len(texts):
        rule = f"be one for each of {len(texts)} samples"
        raise InputError(f"{where}: {key} must {rule}, got {shown(values)}")
    return values


def _yaml_row(file: Path) -> Placed:
    """The mapping of a YAML file of plain data, without aliases, which may grow without end."""
    try:
        text = file.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.CSafeLoader)):
            raise InputError(f"{file}: must hold no aliases")
        row = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file}: is no YAML: {one_line(error)}") from error
    if not isinstance(row, dict):
        raise InputError(f"{file}: must be a mapping, got {shown(row)}")
    return str(file), row


MONKEYS = Format(
    name="samples of large_language_monkeys", is_row=is_monkeys, pool_rows=monkeys_rows
)
SEARCH = Format(name="completions of search-and-learn", is_row=is_search, pool_rows=search_rows)
HUMAN_EVAL = Format(
    name="samples in HumanEval's format", is_row=is_human_eval, pool_rows=human_eval_rows
)
