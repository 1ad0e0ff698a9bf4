"""Tests that only the run that made a directory opens it; another gets the differences."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nbest import BestOfN, FakeBackend, First, Reply, run
from nbest.orchestrator.errors import InputError, RunChanged, StoreError
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.manifest import MANIFEST_VERSION, Json, differences
from nbest.orchestrator.store.format.parquet import PartWriter
from nbest.orchestrator.store.format.schema import samples_table
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Message, Query, Sample

FINGERPRINT: Mapping[str, Json] = {
    "model": "small",
    "sampling": {"temperature": 0.8, "stop": ["\n"]},
}
QUERIES = [Query(id="a", prompt="1 + 1 ="), Query(id="b", prompt="2 + 2 =", meta={"level": 1})]


def start(
    path: Path,
    fingerprint: Mapping[str, Json] = FINGERPRINT,
    config: Mapping[str, Json] = {},
    queries: list[Query] = QUERIES,
) -> None:
    with open_run(path, fingerprint=fingerprint, config=config, queries=queries):
        pass


def draw_one(path: Path) -> None:
    """Commit a sample, so that the run has something to lose."""
    writer = PartWriter(RunFolder(path), ["samples"])
    writer.commit("samples", samples_table([("a", 0, Sample(id="", text="2"))]))


def contents(path: Path) -> dict[str, bytes]:
    files = (file for file in path.rglob("*") if file.is_file() and file.name != "run.lock")
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def test_a_new_run_keeps_what_it_was_given(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    start(run, config={"n": 4, "stop": ("x",)})
    manifest = RunReader(run).manifest
    assert manifest.fingerprint == FINGERPRINT
    assert manifest.config == {"n": 4, "stop": ["x"]}
    assert "pyarrow" in manifest.packages
    assert manifest.created.endswith("+00:00")
    assert RunReader(run).queries == QUERIES
    assert list(RunReader(run).samples()) == []
    assert RunReader(run).records() == []


def test_the_same_again_changes_no_file(tmp_path: Path) -> None:
    start(tmp_path, config={"n": 4, "stop": ("x",)})
    before = contents(tmp_path)
    start(tmp_path, config={"n": 4, "stop": ("x",)})
    assert contents(tmp_path) == before


def test_the_last_config_is_kept_with_the_first_start(tmp_path: Path) -> None:
    start(tmp_path, config={"n": 4})
    created = RunReader(tmp_path).manifest.created
    start(tmp_path, config={"n": 8})
    assert RunReader(tmp_path).manifest.config == {"n": 8}
    assert RunReader(tmp_path).manifest.created == created


def test_new_queries_are_added_after_the_old_ones(tmp_path: Path) -> None:
    start(tmp_path)
    new = Query(id="c", prompt=(Message(role="user", content="hi"),))
    start(tmp_path, queries=[new, QUERIES[1]])
    assert RunReader(tmp_path).queries == [*QUERIES, new]
    start(tmp_path, queries=[])
    assert RunReader(tmp_path).queries == [*QUERIES, new]


def test_another_fingerprint_is_refused_with_a_diff_and_nothing_is_written(tmp_path: Path) -> None:
    start(tmp_path)
    draw_one(tmp_path)
    before = contents(tmp_path)
    now: Mapping[str, Json] = {
        "model": "small",
        "sampling": {"temperature": 0.7, "stop": ("\n",)},
        "seed": 1,
    }
    with pytest.raises(RunChanged) as error:
        start(tmp_path, now, config={"n": 9}, queries=[Query(id="z", prompt="")])
    assert str(error.value).splitlines()[1:] == [
        "  sampling.temperature: 0.8 in the run, 0.7 now",
        "  seed: not set in the run, 1 now",
        "  take another run directory (--out), or delete this one",
    ]
    assert contents(tmp_path) == before


def test_another_prompt_under_a_known_id_is_refused(tmp_path: Path) -> None:
    start(tmp_path)
    draw_one(tmp_path)
    changed = [QUERIES[0], Query(id="b", prompt="2 + 3 ="), Query(id="c", prompt="")]
    with pytest.raises(RunChanged, match="query 'b': another prompt\n  take another run"):
        start(tmp_path, queries=changed)
    assert RunReader(tmp_path).queries == QUERIES


OTHER: Mapping[str, Json] = {"model": "large"}


def test_a_run_without_results_takes_on_other_settings(tmp_path: Path) -> None:
    """Its first start failed, as where a server refuses a setting: nothing was drawn."""
    start(tmp_path)
    start(tmp_path, OTHER)
    assert RunReader(tmp_path).manifest.fingerprint == OTHER
    assert RunReader(tmp_path).queries == QUERIES


@pytest.mark.parametrize(
    "now",
    [
        [QUERIES[0], Query(id="b", prompt="2 + 3 =")],  # another prompt
        [Query(id="z", prompt="another dataset")],
    ],
)
def test_a_run_without_results_takes_on_other_questions(tmp_path: Path, now: list[Query]) -> None:
    start(tmp_path)
    start(tmp_path, queries=now)
    assert RunReader(tmp_path).queries == now


@pytest.mark.parametrize("at", ["queries", "manifest"])
def test_a_change_of_settings_that_is_cut_off_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    start(tmp_path)
    now = [Query(id="z", prompt="another dataset")]
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "commit" if at == "manifest" else "delete", _fail)
        with pytest.raises(StoreError, match="the disk is full"):
            start(tmp_path, OTHER, queries=now)
    start(tmp_path, OTHER, queries=now)
    assert RunReader(tmp_path).queries == now


def _fail(folder: RunFolder, name: str, data: bytes = b"") -> None:
    raise StoreError(f"the disk is full: {name}")


@pytest.mark.parametrize("kept", ["samples", "records", "scores/vote", "set aside"])
def test_a_run_with_any_result_keeps_its_settings(tmp_path: Path, kept: str) -> None:
    start(tmp_path)
    folder, name = ("samples", "x.parquet.damaged") if kept == "set aside" else (kept, "x.parquet")
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / name).write_bytes(b"")
    with pytest.raises(RunChanged, match="other settings"):
        start(tmp_path, OTHER)


def test_long_diffs_are_cut(tmp_path: Path) -> None:
    many: Mapping[str, Json] = {f"key{i}": 0 for i in range(100)}
    start(tmp_path, many)
    draw_one(tmp_path)
    with pytest.raises(RunChanged, match="and 80 more") as error:
        start(tmp_path, dict.fromkeys(many, 1))
    assert len(str(error.value).splitlines()) == 23


@pytest.mark.parametrize(
    ("stored", "now", "lines"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        (
            {"a": {}},
            {"a": {"b": 1}},
            ["a: {} in the run, not set now", "a.b: not set in the run, 1 now"],
        ),
        ({}, {"new": None}, []),  # a setting that a later version adds, left at "none"
        ({"a": True}, {"a": "\x1b[31m"}, ['a: true in the run, "\\u001b[31m" now']),
    ],
)
def test_what_counts_as_a_difference(
    stored: Mapping[str, Json], now: Mapping[str, Json], lines: list[str]
) -> None:
    assert differences(stored, now) == lines


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    template = "Solve it step by step. " * 20
    [line] = differences({"prompt": template + "A:"}, {"prompt": template + "Q:"})
    assert 'A:" in the run' in line
    assert 'Q:" now' in line
    assert len(line) < 200


@pytest.mark.parametrize("name", ["notes.txt", "samples"])
def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"must be empty or hold a run.json .it holds '{name}'"):
        start(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_start_that_was_killed_before_its_first_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("")
    (tmp_path / ".run.json.tmp").write_text('{"vers')
    start(tmp_path)
    assert RunReader(tmp_path).queries == QUERIES
    assert not (tmp_path / ".run.json.tmp").exists()


@pytest.mark.parametrize("text", ["", '{"version": 1', "[]", '{"version": 1, "colour": 2}'])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError, match=r"^run\.json in '.*' is not readable: "):
        start(tmp_path)


def test_a_manifest_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"version": MANIFEST_VERSION + 1}))
    with pytest.raises(StoreError, match="use a newer nbest"):
        _ = RunReader(tmp_path).manifest


def test_ids_must_be_there_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="query id must be there once, is there 2 times, got 'a'"):
        start(tmp_path, queries=[QUERIES[0], QUERIES[0]])


@pytest.mark.parametrize(
    ("query_id", "prompt", "message"),
    [
        ("\ud800", "", "query id must be text that is not empty, and valid Unicode"),
        ("", "x", "query id must be text that is not empty"),
        (5, "x", "query id must be text that is not empty"),
        ("q", "\udfff", "query 'q' must be valid Unicode"),
        ("q", (Message(role="user", content="\ud800"),), "query 'q' must be valid Unicode"),
        ("q", 7, "prompt of query 'q' must be text or a tuple of Messages"),
        ("q", ["x"], "prompt of query 'q' must be text or a tuple of Messages"),
        ("q", ("x",), "prompt of query 'q' must be text or a tuple of Messages"),
    ],
)
def test_a_query_that_cannot_be_stored_is_refused(query_id: Any, prompt: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Query(id=query_id, prompt=prompt)


def test_two_queries_of_one_id_are_refused_on_every_way_in(tmp_path: Path) -> None:
    twice = [Query(id="q", prompt="1"), Query(id="q", prompt="2")]
    with pytest.raises(InputError, match="query id must be there once, is there 2 times"):
        start(tmp_path, queries=twice)
    backend = FakeBackend(script=lambda request: Reply(tokens=()))
    with pytest.raises(InputError, match="query id must be there once"):
        run(twice, BestOfN(n=1, select=First()), backend)


def test_readers_want_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run directory must hold a run\.json"):
        RunReader(tmp_path)


def test_a_remote_run_can_be_gone_on_with() -> None:
    path = "fsspec+memory:///test_store_run/run"
    for config in ({"n": 1}, {"n": 2}):
        with open_run(path, fingerprint=FINGERPRINT, config=config, queries=QUERIES):
            pass
    assert RunReader(path).manifest.config == {"n": 2}
    assert RunReader(path).queries == QUERIES
