"""Tests that compaction, finished or not, changes no row that counts, and damage costs one file."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.store.compaction import compact
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.names import merged_name
from nbest.orchestrator.store.format.parquet import DamagedFile, PartWriter, open_part
from nbest.orchestrator.store.format.schema import (
    FINAL,
    SampleRow,
    records_table,
    samples_table,
    scores_table,
)
from nbest.orchestrator.store.index import SampleIndex
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import DamagedFileWarning, RunReader
from nbest.orchestrator.types import Outcome, Query, Record, Sample, Status

QUERIES = [Query(id=query_id, prompt=f"prompt {query_id}") for query_id in "abc"]
KEY = st.tuples(st.sampled_from("abc"), st.integers(0, 3))
PARTS = st.lists(st.lists(st.tuples(KEY, st.sampled_from(Status)), max_size=8), max_size=5)
Key = tuple[str, int]


def start(path: Path) -> tuple[DamagedFile, ...]:
    with open_run(path, fingerprint={}, config={}, queries=QUERIES) as run:
        return run.damaged


def write_samples(path: Path, parts: Sequence[Sequence[tuple[Key, Status]]]) -> list[SampleRow]:
    """Commit the rows, each with its own text, by two writers in turn."""
    folder = RunFolder(path)
    rows: list[SampleRow] = []
    for part in parts:
        new = [
            (query_id, index, Sample(id="", text=f"{len(rows) + i}", status=status))
            for i, ((query_id, index), status) in enumerate(part)
        ]
        PartWriter(folder, ["samples"]).commit("samples", samples_table(new))
        rows += new
    return rows


def counting(rows: Sequence[SampleRow]) -> dict[Key, Sample]:
    """Return the rows that count: the first final row of a key, or else its first row."""
    best: dict[Key, Sample] = {}
    for query_id, index, sample in rows:
        old = best.setdefault((query_id, index), sample)
        if old.status not in FINAL and sample.status in FINAL:
            best[query_id, index] = sample
    return best


def read_back(path: Path) -> dict[Key, Sample]:
    index = SampleIndex(RunFolder(path))
    return {(q, i): sample for q in index for i, sample in index.samples(q).items()}


def sample_files(path: Path) -> list[str]:
    return RunFolder(path).parts("samples")


@settings(max_examples=40, deadline=None)
@given(PARTS)
def test_what_counts_is_the_same_before_after_and_after_a_crash(
    parts: Sequence[Sequence[tuple[Key, Status]]],
) -> None:
    with TemporaryDirectory() as place:
        run, whole = Path(place) / "run", Path(place) / "whole"
        start(run)
        expected = counting(write_samples(run, parts))
        assert read_back(run) == expected
        names = sample_files(run)
        shutil.copytree(run, whole)
        compact(RunFolder(whole))
        assert read_back(whole) == expected
        assert len(sample_files(whole)) == min(1, len(names))
        if len(names) > 1:  # killed after the merged file was there, and n parts deleted
            shutil.copy(whole / merged_name(names[0]), run / merged_name(names[0]))
            for name in names:
                assert read_back(run) == expected
                (run / name).unlink()
        shutil.copy(whole / "run.json", run)
        start(run)
        assert read_back(run) == expected


@given(PARTS)
@settings(max_examples=20, deadline=None)
def test_get_gives_final_samples_only(parts: Sequence[Sequence[tuple[Key, Status]]]) -> None:
    with TemporaryDirectory() as place:
        start(Path(place))
        best = counting(write_samples(Path(place), parts))
        index = SampleIndex(RunFolder(place), cache_bytes=1)  # each block is read again each time
        for query_id in "abcd":
            for i in range(5):
                sample = best.get((query_id, i))
                is_final = sample is not None and sample.status in FINAL
                assert index.get(query_id, i) == (sample if is_final else None)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from(Outcome))))
@settings(max_examples=20, deadline=None)
def test_records_survive_a_compaction_that_was_killed(
    rows: Sequence[tuple[str, str, Outcome]],
) -> None:
    with TemporaryDirectory() as place:
        run, whole = Path(place) / "run", Path(place) / "whole"
        start(run)
        folder = RunFolder(run)
        for query_id, strategy, outcome in rows:
            record = Record(query_id=query_id, strategy=strategy, outcome=outcome, confidence=1.0)
            PartWriter(folder, ["records"]).commit("records", records_table([record]))
        last = {(query_id, strategy): outcome for query_id, strategy, outcome in rows}
        names = folder.parts("records")
        shutil.copytree(run, whole)
        compact(RunFolder(whole))
        if len(names) > 1:
            shutil.copy(whole / merged_name(names[0]), run / merged_name(names[0]))
        for name in ["", *names]:
            (run / name).unlink() if name and len(names) > 1 else None
            assert {(r.query_id, r.strategy): r.outcome for r in RunReader(run).records()} == last
            done = {q for (q, strategy), o in last.items() if strategy == "x" and o != "error"}
            assert RunReader(run).done("x") == done


def test_many_small_files_become_one_of_each_kind(tmp_path: Path) -> None:
    start(tmp_path)
    folder = RunFolder(tmp_path)
    folder.add_folder("scores/reward")
    writer = PartWriter(folder, ["samples", "records"])
    for index in range(20):
        writer.commit("samples", samples_table([("a", index, Sample(id="", text=str(index)))]))
        writer.commit("scores/reward", scores_table([("a", index // 2, float(index))]))
        record = Record(query_id="a", strategy="s", outcome=Outcome.ANSWERED, index=index)
        writer.commit("records", records_table([record]))
    compact(folder)
    kinds = ("queries", "samples", "records", "scores/reward")
    assert [len(folder.parts(kind)) for kind in kinds] == [1, 1, 1, 1]
    assert RunReader(tmp_path).scores("reward") == {"a": {i: 2.0 * i for i in range(10)}}
    assert [r.index for r in RunReader(tmp_path).records()] == [19]
    assert RunReader(tmp_path).queries == QUERIES
    before = {kind: folder.parts(kind) for kind in kinds}
    compact(folder)
    assert {kind: folder.parts(kind) for kind in kinds} == before


def test_large_files_are_left_as_they_are(tmp_path: Path) -> None:
    start(tmp_path)
    writer = PartWriter(RunFolder(tmp_path), ["samples"])
    for index in range(3):
        large = Sample(id="", text=str(index) * (20 << 20))
        writer.commit("samples", samples_table([("a", index, large)]))
    before = sample_files(tmp_path)
    compact(RunFolder(tmp_path))
    assert sample_files(tmp_path) == before


def test_a_compacted_run_keeps_the_samples_of_a_query_together(tmp_path: Path) -> None:
    start(tmp_path)
    write_samples(tmp_path, [[((q, i), Status.OK) for q in "cab"] for i in range(4)])
    compact(RunFolder(tmp_path))
    [name] = sample_files(tmp_path)
    with open_part(RunFolder(tmp_path), name) as file:
        columns = file.read(columns=["query_id", "index"]).to_pydict()
    assert columns == {"query_id": [*"ccccaaaabbbb"], "index": [0, 1, 2, 3] * 3}


def test_an_open_index_outlives_a_compaction(tmp_path: Path) -> None:
    start(tmp_path)
    parts: list[list[tuple[Key, Status]]] = [[(("a", i), Status.OK)] for i in range(5)]
    rows = write_samples(tmp_path, parts)
    index = SampleIndex(RunFolder(tmp_path))
    assert index.get("a", 0) == rows[0][2]
    compact(RunFolder(tmp_path))
    assert [index.get("a", i) for i in range(6)] == [*(row[2] for row in rows), None]
    assert list(index.samples("a")) == [0, 1, 2, 3, 4]


def truncations(size: int) -> list[int]:
    """Return lengths to cut a file to: all near its start and its end, and some between."""
    return sorted({*range(min(16, size)), *range(0, size, 97), *range(max(0, size - 24), size)})


def test_a_file_cut_at_any_byte_costs_that_file_alone(tmp_path: Path) -> None:
    start(tmp_path)
    parts: list[list[tuple[Key, Status]]] = [[((q, i), Status.OK) for q in "abc"] for i in range(3)]
    rows = write_samples(tmp_path, parts)
    middle = tmp_path / sample_files(tmp_path)[1]
    data = middle.read_bytes()
    intact = {(q, i): sample for q, i, sample in rows if i != 1}
    for size in truncations(len(data)):
        middle.write_bytes(data[:size])
        damaged: list[DamagedFile] = []
        samples = dict(RunReader(tmp_path, damaged.append).samples())
        assert samples == {q: (intact[q, 0], intact[q, 2]) for q in "abc"}
        assert [middle.name in str(d) and "is damaged: " in str(d) for d in damaged] == [True]
        assert "\n" not in str(damaged[0])


def test_the_next_start_sets_a_damaged_file_aside(tmp_path: Path) -> None:
    start(tmp_path)
    write_samples(tmp_path, [[(("a", i), Status.OK)] for i in range(3)])
    torn = tmp_path / sample_files(tmp_path)[0]
    torn.write_bytes(torn.read_bytes()[:-1])
    with pytest.warns(DamagedFileWarning, match=torn.name):
        assert [len(samples) for _, samples in RunReader(tmp_path).samples()] == [2]
    [damage] = start(tmp_path)
    assert torn.name in str(damage)
    assert torn.with_name(f"{torn.name}.damaged").exists()
    assert start(tmp_path) == ()
    assert [len(samples) for _, samples in RunReader(tmp_path).samples()] == [2]


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    start(tmp_path)
    rows: list[list[tuple[Key, Status]]] = [[((q, 0), Status.OK) for q in "abc"]] * 2
    write_samples(tmp_path, rows)
    first = tmp_path / sample_files(tmp_path)[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 8] ^= 0xFF
    first.write_bytes(bytes(data))
    samples = read_back(tmp_path)
    assert [s.text for s in samples.values()] == ["3", "4", "5"]
    assert len(start(tmp_path)) == 1
    assert read_back(tmp_path) == samples


def test_lost_queries_are_written_again(tmp_path: Path) -> None:
    start(tmp_path)
    [part] = RunFolder(tmp_path).parts("queries")
    (tmp_path / part).write_bytes(b"PAR1")
    with pytest.warns(DamagedFileWarning):
        assert RunReader(tmp_path).queries == []
    assert len(start(tmp_path)) == 1
    assert RunReader(tmp_path).queries == QUERIES


def test_unfinished_files_are_not_read_and_go_at_the_next_start(tmp_path: Path) -> None:
    start(tmp_path)
    write_samples(tmp_path, [[(("a", 0), Status.OK)]])
    [name] = sample_files(tmp_path)
    data = (tmp_path / name).read_bytes()
    unfinished: Mapping[str, bytes] = {
        "samples/.01700000000000000000-00c0ffee.parquet.tmp": data,
        "records/.x.tmp": b"",
        ".run.json.tmp": b"{",
    }
    for file, content in unfinished.items():
        (tmp_path / file).write_bytes(content)
    (tmp_path / "samples" / "notes.parquet").write_bytes(b"mine")
    assert len(read_back(tmp_path)) == 1
    start(tmp_path)
    assert not any((tmp_path / file).exists() for file in unfinished)
    assert (tmp_path / "samples" / "notes.parquet").exists()


def test_a_disk_that_fails_is_no_damage(tmp_path: Path) -> None:
    start(tmp_path)
    name = "samples/01700000000000000000-00c0ffee.parquet"
    (tmp_path / name).mkdir()  # it cannot be opened, whatever is in it
    with pytest.raises(StoreError, match="cannot be read: ") as error:
        list(RunReader(tmp_path).samples())
    assert not isinstance(error.value, DamagedFile)
    with pytest.raises(StoreError, match="cannot be read"):
        start(tmp_path)
    assert (tmp_path / name).is_dir()
