"""Export and import: what a line holds comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nbest.experiments.analysis.bias_notes import run_notes
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.analysis.select import compare
from nbest.experiments.runs.exchange.export import export_run
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Message

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "6 * 7?"}]


def pool(folder: Path, **line: object) -> Path:
    entry = {"id": "q", "samples": [{"answer": "42", "text": "42"}] * 4, **line}
    folder.mkdir(exist_ok=True)
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


DIGEST = "adacc3305cdb2eb895843fa72e9147c4dc7d536ee8d87e897ca63b918e28507b"  # as written before
TOP: dict[str, object] = {
    "answer": "42",
    "text": "42",
    "tokens": 2,
    "logprobs": [-0.5, -0.25],
    "top_logprobs": [[-0.5, -1.5], [-0.25, -3.0]],
    "top_tokens": [["4", "5"], ["2", "1"]],
    "prompt_tokens": 7,
    "seconds": 1.5,
}


def test_costs_likeliest_tokens_and_meta_come_back(tmp_path: Path) -> None:
    tests = "assert answer == 42"
    run = pool(tmp_path, prompt="6 * 7?", samples=[TOP, TOP], meta={"tests": tests, "level": 3})
    (sample, _) = RunReader(run).stored_samples().of("q")
    assert (sample.prompt_tokens, sample.generated_tokens, sample.total_s) == (7, 2, 1.5)
    assert sample.top_logprobs is not None
    assert sample.top_logprobs.array().tolist() == TOP["top_logprobs"]
    assert sample.top_logprobs.texts == ("4", "5", "2", "1")
    back = again(tmp_path, run)
    assert back.queries == RunReader(run).queries
    assert back.queries[0].meta == {"tests": tests, "level": 3}
    (same, _) = back.stored_samples().of("q")
    assert replace(same, id=sample.id) == sample


@pytest.mark.parametrize("name", ["self_certainty(k=2)", "confidence(k=2, measure=mean)"])
def test_selectors_that_read_the_likeliest_tokens_work_on_a_pool(tmp_path: Path, name: str) -> None:
    run = pool(tmp_path, prompt="6 * 7?", gold="42", samples=[TOP, TOP])
    (row,) = compare(run, name).rows
    assert (row.accuracy, row.failed, row.abstained) == (1.0, 0, 0)
    bare = [{key: TOP[key] for key in ("text", "logprobs")}]
    with pytest.raises(InputError, match=r"or import them with the samples \(docs/pools.md\)"):
        compare(pool(tmp_path / "bare", prompt="6 * 7?", samples=bare), name)


@pytest.mark.parametrize("name", ["judge", "reward(model=fake)"])
def test_what_asks_a_model_says_how_numbers_come_in(tmp_path: Path, name: str) -> None:
    run = pool(tmp_path, prompt="6 * 7?", gold="42")
    with pytest.raises(InputError, match=r"import its numbers as `scores` \(docs/pools.md\)"):
        compare(run, name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logprobs": None}, "top_logprobs must come with logprobs"),
        ({"top_logprobs": [[-0.5]]}, "one list a token, 2, all of the same length"),
        ({"top_logprobs": [[-0.5], [-0.5, -0.6]]}, "one list a token, 2, all of the same length"),
        ({"top_logprobs": [[-0.5, 0.5], [-1, -1]]}, "top_logprobs must be at most 0, got 0.5"),
        ({"top_tokens": [["4"], ["2"]]}, "top_tokens must have the shape of top_logprobs"),
        ({"top_logprobs": None}, "top_tokens must be left out without top_logprobs"),
        ({"seconds": -1}, "seconds"),
        ({"prompt_tokens": -1}, "prompt_tokens"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        pool(tmp_path, samples=[{**TOP, **changes}])


def test_a_pool_of_an_earlier_version_is_the_same_pool(tmp_path: Path) -> None:
    """Its digest was made without the keys that came later."""
    run = pool(tmp_path, prompt="6 * 7?")
    pool(tmp_path, prompt="6 * 7?")  # again: it changes nothing
    assert RunReader(run).manifest.fingerprint == {"imported": DIGEST}
