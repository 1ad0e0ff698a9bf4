"""Reads pools of samples from elsewhere: one JSON object a line, one line a question.

    {"id": "q0", "gold": "33", "prompt": "...", "samples": [{"answer": "33", "tokens": 2141}]}

A sample has a `text` or an `answer`; `answer: null` says that it holds none. Its `tokens`,
`logprobs` (one a token), `finish_reason` and `scores` (by the name of a scorer) are optional, and
so are the `gold` and `prompt` of a line. It knows no run directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nbest.experiments.language.text import shown
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Sample, Status

# What servers call the end of a sample. All other words, as "stop", say that it ended well.
STATUS_OF_FINISH = {
    "length": Status.TRUNCATED,
    "max_tokens": Status.TRUNCATED,
    "abort": Status.CANCELLED,
    "error": Status.ERROR,
}


class PoolSample(BaseModel):
    """One sample of a line."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answer: str | None = None
    text: str | None = None
    tokens: int = Field(default=0, ge=0)
    logprobs: tuple[float, ...] | None = Field(default=None, strict=False)
    finish_reason: str | None = None
    scores: dict[str, float | None] = Field(default_factory=dict)

    def sample(self, id_: str) -> Sample:
        """The sample that a store keeps; its text is the answer where it has no text."""
        content = self.answer if "answer" in self.model_fields_set else self.text
        has_answer = content is not None
        ended = STATUS_OF_FINISH.get(self.finish_reason or "", Status.OK)
        status = Status.UNPARSEABLE if ended is Status.OK and not has_answer else ended
        return Sample(
            id=id_,
            text=self.text if self.text is not None else self.answer or "",
            logprobs=self.logprobs,
            status=status,
            error="it failed where it was made" if status is Status.ERROR else "",
            generated_tokens=self.tokens or len(self.logprobs or ()),
        )


class PoolLine(BaseModel):
    """One question with its samples."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(min_length=1)
    gold: str | None = None
    prompt: str = ""
    samples: tuple[PoolSample, ...] = Field(min_length=1, strict=False)


def read_pool(files: Sequence[Path]) -> Iterator[PoolLine]:
    """Yield the lines of all files; InputError names the file, line and key of a mistake."""
    seen: dict[str, str] = {}
    for file in files:
        for number, text in _lines(file):
            where = f"{file}:{number}"
            line = _line(text, where)
            if line.id in seen:
                raise InputError(f"{where}: id must be new, got {line.id!r} of {seen[line.id]}")
            seen[line.id] = where
            yield line


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    if not file.is_file():
        raise InputError(f"pool must be a file of JSON lines, got {str(file)!r}")
    try:
        with file.open(encoding="utf-8") as stream:
            for number, text in enumerate(stream, start=1):
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: must be UTF-8, got byte {error.object[error.start]}") from error


def _line(text: str, where: str) -> PoolLine:
    try:
        return PoolLine.model_validate_json(text)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in detail["loc"])
        what = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            what = "no such key"
        raise InputError(
            f"{where}: {key or 'line'}: {what}, got {shown(detail['input'])}"
        ) from error
