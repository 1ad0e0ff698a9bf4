"""A person's choices as pairs of a chosen and a rejected text, as TRL's trainers read them.

One JSON object a line: `{"prompt": ..., "chosen": ..., "rejected": ...}`. For a raw prompt all
three are text; for a chat they are lists of `{"role", "content"}`, and the last two hold the turn
of the assistant. Skipped questions, and those where none is right, give no pairs. No pair holds a
text that was not shown, or one that is as good as the chosen one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.ids import index_of
from nbest.orchestrator.store.choices import Choice, read_choices
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Query

PICK = "nbest pick RUN shows the samples to choose from"


def preference_lines(run: StrPath) -> Iterator[str]:
    """Yield each pair as one line of JSON, questions in the order of the run."""
    reader, choices = RunReader(run), read_choices(run)
    if not choices:
        raise InputError(f"preferences must come from choices, and nobody has made any: {PICK}")
    samples = dict(reader.samples(columns=["text"]))
    for query in reader.queries:
        choice = choices.get(query.id)
        if choice is not None and query.id in samples:
            texts = {index_of(sample.id): sample.text for sample in samples[query.id]}
            yield from (json.dumps(pair) for pair in _pairs(query, choice, texts))


def _pairs(query: Query, choice: Choice, texts: dict[int, str]) -> Iterator[dict[str, object]]:
    if choice.index is None or choice.index not in texts:
        return
    chosen = texts[choice.index]
    for rejected in choice.rejected(texts):
        yield {
            "prompt": _prompt(query),
            "chosen": _turn(query, chosen),
            "rejected": _turn(query, rejected),
        }


def _prompt(query: Query) -> object:
    if isinstance(query.prompt, str):
        return query.prompt
    return [{"role": message.role, "content": message.content} for message in query.prompt]


def _turn(query: Query, text: str) -> object:
    return text if isinstance(query.prompt, str) else [{"role": "assistant", "content": text}]
