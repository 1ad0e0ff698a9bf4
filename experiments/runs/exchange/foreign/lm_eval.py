"""Samples of lm-evaluation-harness, as `--log_samples` writes them: `samples_TASK_DATE.jsonl`.

A row is a question and a filter; all filters of a question saw the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbest.experiments.language.text import shown
from nbest.experiments.runs.exchange.foreign.rows import Format, Placed, Row, as_gold, json_rows
from nbest.orchestrator.errors import InputError

NAME = re.compile(r"samples_(.+?)(?:_\d{4}-\d{2}-\d{2}T[\d.:-]+)?\.jsonl")


def is_sample(row: Row) -> bool:
    """Whether a row is a logged sample."""
    return "doc_id" in row and "resps" in row


def pool_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each document of each task, with the samples of all files."""
    lines: dict[str, Placed] = {}
    for file in files:
        named = NAME.fullmatch(file.name)
        seen: set[str] = set()
        for where, row in json_rows(file):
            key = f"{named[1]}/{row['doc_id']}" if named else str(row["doc_id"])
            if key in seen:  # by another filter
                continue
            seen.add(key)
            gold, prompt = _gold(row.get("target")), _prompt(row.get("arguments"))
            new = {"id": key, "gold": gold, **prompt, "samples": []}
            first, line = lines.setdefault(key, (where, new))
            if line["gold"] != gold:
                raise InputError(f"{where}: must have the target of {first}")
            texts = _texts(row["resps"], row.get("arguments"), where)
            line["samples"] += [{"text": text} for text in texts]
    yield from lines.values()


def _texts(resps: object, arguments: object, where: str) -> list[str]:
    """The texts of all requests of a document."""
    flat = list(_leaves(resps))
    is_text = flat and all(isinstance(text, str) for text in flat)
    if not is_text or _are_likelihoods(resps) or isinstance(_argument(arguments, 1), str):
        what = "must hold texts (a task that compares likelihoods has none)"
        raise InputError(f"{where}: resps {what}, got {shown(resps)}")
    return [text for text in flat if isinstance(text, str)]


def _are_likelihoods(resps: object) -> bool:
    """Whether it holds pairs of a number and whether it is greedy, which may be written as text."""
    if not isinstance(resps, list):
        return False
    is_pair = len(resps) == 2 and str(resps[1]) in ("True", "False")
    return is_pair or any(map(_are_likelihoods, resps))


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _gold(target: object) -> str | None:
    """The target; of one in the format of GSM8K, what follows its marker.

    None where it is a list, which lm-eval may write as text: which of them is meant is not known.
    """
    text = as_gold(target)
    if text is None or text == "None" or re.fullmatch(r"\[.*\]", text.strip(), re.DOTALL):
        return None
    marked = re.search(r"(?:^|\n)#### *(\S[^\n]*)\s*$", text)
    return text if marked is None else marked[1].strip()


def _prompt(arguments: object) -> Row:
    """The prompt of the first request, in the form of today or of before."""
    first = _argument(arguments, 0)
    return {"prompt": first} if isinstance(first, str) else {}


def _argument(arguments: object, place: int) -> object:
    """An argument of the first request: `{"gen_args_0": {"arg_0": ...}}`, before `[[...]]`."""
    first: object = arguments
    if isinstance(first, dict):
        first = next(iter(first.values()), None)
    elif isinstance(first, list):
        first = first[0] if first else None
    values = list(first.values()) if isinstance(first, dict) else first
    return values[place] if isinstance(values, list) and len(values) > place else None


FORMAT = Format(name="samples of lm-eval", is_row=is_sample, pool_rows=pool_rows)
