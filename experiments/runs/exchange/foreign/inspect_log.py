"""Logs of Inspect: `.eval`, a zip archive with a file for each sample, or one JSON document.

Each question has a sample for each epoch. New logs are compressed by Zstandard, which Python's
`zipfile` does not know: pyarrow reads it.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nbest.experiments.language.text import one_line, shown
from nbest.experiments.runs.exchange.foreign.openai_objects import choice_sample, prompt_keys
from nbest.experiments.runs.exchange.foreign.rows import (
    Placed,
    Row,
    as_gold,
    json_object,
    number_of,
    set_keys,
)
from nbest.orchestrator.errors import InputError

NAME = "logs of Inspect"
ZSTANDARD = 93
MAX_BYTES = 1_000_000_000  # of one sample, unpacked
VALUES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # what scorers write for right and wrong
ATTACHMENT = "attachment://"
HEADS = ("header.json", "_journal/start.json")  # the second of a log that was not ended


def is_log(file: Path) -> bool:
    """Whether a file is a log: an archive with samples, or the document of one."""
    if zipfile.is_zipfile(file):
        return True
    with file.open("rb") as stream:
        start = stream.read(4096)
    return re.match(rb'\s*\{\s*"version"\s*:\s*\d+\s*,\s*"status"', start) is not None


@dataclass(slots=True, kw_only=True)
class Epoch:
    """The samples that one epoch of a question has in one log."""

    number: int
    uuid: str
    failed: bool
    samples: list[Row]


def pool_rows(files: Sequence[Path]) -> Iterator[Placed]:
    """Yield a line for each question, its samples in the order of epochs.

    A retried log holds the samples of the one before again, by the same uuid: they count once, and
    a failure that was mended not at all. Logs of several tasks have these before their ids.
    """
    tasks = {file: _task(file) for file in files}
    is_one_task = len(set(tasks.values())) == 1
    lines: dict[str, Placed] = {}
    epochs: dict[str, list[Epoch]] = {}
    for file in files:
        for where, row in _samples(file):
            if not isinstance(row.get("id"), str | int):
                raise InputError(
                    f"{where}: id must be text or a number, got {shown(row.get('id'))}"
                )
            key = str(row["id"]) if is_one_task else f"{tasks[file]}/{row['id']}"
            line = _line(key, row)
            first, known = lines.setdefault(key, (where, line))
            if line != known:
                raise InputError(f"{where}: must have the input and target of {first}")
            epochs.setdefault(key, []).append(_epoch(row))
    if not lines:
        raise InputError(f"{files[0]}: holds no samples (Inspect writes them with log_samples)")
    for key, (where, line) in lines.items():
        kept = sorted(_kept(epochs[key]), key=lambda epoch: epoch.number)
        yield where, {**line, "samples": [sample for epoch in kept for sample in epoch.samples]}


def _epoch(row: Row) -> Epoch:
    number = row.get("epoch")
    return Epoch(
        number=number if isinstance(number, int) else 1,
        uuid=str(row.get("uuid") or ""),
        failed=bool(row.get("error")),
        samples=list(_pool_samples(row)),
    )


def _kept(epochs: Sequence[Epoch]) -> Iterator[Epoch]:
    """Each sample once; no failure of an epoch that another log has whole."""
    whole = {epoch.number for epoch in epochs if not epoch.failed}
    seen: set[str] = set()
    for epoch in epochs:
        if epoch.failed and epoch.number in whole:
            continue
        if epoch.uuid and epoch.uuid in seen:
            continue
        seen.add(epoch.uuid)
        yield epoch


def _task(file: Path) -> str:
    """The name of the task of a log; that of the file where it has none."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
            heads = (i for i in archive.infolist() if i.filename in HEADS)
            head = next(heads, None)
            data = b"{}" if head is None else _unpacked(archive, raw, head, str(file))
    else:
        data = file.read_bytes()
    of_log = json_object(data, str(file)).get("eval")
    task = of_log.get("task") if isinstance(of_log, dict) else None
    return str(task or file.stem)


def _samples(file: Path) -> Iterator[Placed]:
    if not zipfile.is_zipfile(file):
        for number, row in enumerate(
            json_object(file.read_bytes(), str(file)).get("samples") or []
        ):
            yield f"{file}: samples[{number}]", _with_attachments(row)
        return
    with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
        for info in archive.infolist():
            if info.filename.startswith("samples/") and info.filename.endswith(".json"):
                where = f"{file}: {info.filename}"
                row = json_object(_unpacked(archive, raw, info, where), where)
                row.pop("events", None)  # the larger part of it
                yield where, _with_attachments(row)


def _unpacked(archive: zipfile.ZipFile, raw: IO[bytes], info: zipfile.ZipInfo, where: str) -> bytes:
    """The contents of one file of the archive; InputError where they are damaged."""
    if info.file_size > MAX_BYTES:
        raise InputError(f"{where} must have at most {MAX_BYTES:,} bytes")
    try:
        return archive.read(info) if info.compress_type != ZSTANDARD else _zstandard(raw, info)
    # What damaged, encrypted and unknown archives raise.
    except (zlib.error, zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError) as error:
        raise InputError(f"{where} cannot be unpacked: {one_line(error)}") from error


def _zstandard(raw: IO[bytes], info: zipfile.ZipInfo) -> bytes:
    import pyarrow as pa

    raw.seek(info.header_offset)
    name_length, extra_length = struct.unpack("<HH", raw.read(30)[26:30])
    raw.seek(name_length + extra_length, 1)
    packed = pa.BufferReader(raw.read(info.compress_size))
    data: bytes = pa.CompressedInputStream(packed, "zstd").read(info.file_size + 1)
    if len(data) != info.file_size:
        raise ValueError(f"it has not the {info.file_size:,} bytes that it should have")
    return data


def _with_attachments(row: Row) -> Row:
    """The sample with its long texts, which a log keeps apart, in their places."""
    attached = row.pop("attachments", None) or {}

    def whole(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(ATTACHMENT):
            return attached.get(value.removeprefix(ATTACHMENT), value)
        if isinstance(value, list):
            return [whole(inner) for inner in value]
        return {k: whole(v) for k, v in value.items()} if isinstance(value, dict) else value

    return {key: whole(value) for key, value in row.items()} if attached else row


def _line(key: str, row: Row) -> Row:
    """A question; of several right answers none is the gold answer, they are in its meta."""
    target = row.get("target")
    targets = target if isinstance(target, list) else [target]
    line: Row = {"id": key, "samples": [], **prompt_keys(row.get("input"))}
    if len(targets) == 1:
        line["gold"] = as_gold(targets[0])
    meta = set_keys(
        {"targets": targets if len(targets) > 1 else None, "choices": row.get("choices")}
    )
    return {**line, "meta": meta} if meta else line


def _pool_samples(row: Row) -> Iterator[Row]:
    output = row.get("output") or {}
    choices = output.get("choices") or []
    if not choices:
        yield {"text": "", "finish_reason": "error"}
        return
    usage = output.get("usage") or {}
    for choice in choices:
        sample = choice_sample(choice, usage.get("output_tokens") if len(choices) == 1 else None)
        sample |= set_keys(
            {"seconds": output.get("time"), "prompt_tokens": usage.get("input_tokens")}
        )
        if row.get("limit"):  # of time, tokens or messages: it was cut off, whatever it says
            sample["finish_reason"] = "length"
        if row.get("error"):
            sample["finish_reason"] = "error"
        if len(choices) == 1:
            sample |= _scored(row.get("scores") or {})
        yield sample


def _scored(scores: Row) -> Row:
    """What scorers say of a sample: their numbers, and the answer that the first one read."""
    numbers: dict[str, float] = {}
    answers = []
    for name, score in scores.items():
        value = score.get("value") if isinstance(score, dict) else score
        for key, inner in value.items() if isinstance(value, dict) else [(None, value)]:
            number = VALUES.get(inner) if isinstance(inner, str) else number_of(inner)
            if number is not None:
                numbers[name if key is None else f"{name}.{key}"] = number
        if isinstance(score, dict) and isinstance(score.get("answer"), str):
            answers.append(score["answer"])
    return set_keys({"scores": numbers or None, "answer": answers[0] if answers else None})
