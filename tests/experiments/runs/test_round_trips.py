"""Export and import: what a line holds comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Message

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "6 * 7?"}]


def pool(folder: Path, **line: object) -> Path:
    entry = {"id": "q", "samples": [{"answer": "42", "text": "42"}] * 4, **line}
    (folder / "pool.jsonl").write_text(json.dumps(entry))
    import_pool([folder / "pool.jsonl"], folder / "run")
    return folder / "run"


def again(folder: Path, run: Path) -> RunReader:
    export_run(run, "jsonl", folder / "again.jsonl")
    import_pool([folder / "again.jsonl"], folder / "again")
    return RunReader(folder / "again")


def test_a_chat_stays_a_chat(tmp_path: Path) -> None:
    run = pool(tmp_path, messages=CHAT)
    turns = tuple(Message(role=t["role"], content=t["content"]) for t in CHAT)  # type: ignore[arg-type]
    assert RunReader(run).queries[0].prompt == turns
    assert again(tmp_path, run).queries == RunReader(run).queries


@pytest.mark.parametrize("kind", ["rule", "race", "budget"])
def test_how_it_was_drawn_is_told_after_a_round_trip(tmp_path: Path, kind: str) -> None:
    run = pool(tmp_path, prompt="6 * 7?", strategy={"n": 8, kind: "margin"})
    (note,) = run_notes(RunReader(run))
    assert f"strategy.{kind}" in note
    assert run_notes(again(tmp_path, run)) == (note,)


def test_samples_that_were_ended_early_are_not_replayed(tmp_path: Path) -> None:
    run = pool(tmp_path, prompt="6 * 7?", strategy={"n": 8, "deep_conf": {"window": 16}})
    with pytest.raises(InputError, match=r"this one was drawn with strategy\.deep_conf"):
        replay(run, "adaptive", max_n=4)


@pytest.mark.parametrize(
    "line",
    [
        {"messages": CHAT, "prompt": "6 * 7?"},
        {"messages": [{"role": "boss", "content": "?"}]},
        {"messages": [{"role": "user", "content": "?", "name": "x"}]},
        {"messages": "6 * 7?"},
    ],
)
def test_a_chat_that_is_none_is_refused(tmp_path: Path, line: dict[str, object]) -> None:
    with pytest.raises(InputError, match="messages"):
        pool(tmp_path, **line)
