"""Tests that what a process adds is soon on disk, once and in order; failures are raised."""

import asyncio
import os
import resource
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nbest.orchestrator.errors import InputError, StoreError
from nbest.orchestrator.store.compaction import compact
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.parquet import PartWriter
from nbest.orchestrator.store.format.schema import samples_table
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.store.run_store import MemoryStore, open_store
from nbest.orchestrator.store.writer import BATCH_SAMPLES, BATCH_TOKENS, FileStore
from nbest.orchestrator.types import Outcome, Query, Record, Sample, Status

NEVER_S = 3600.0


def sample(text: str, status: Status = Status.OK) -> Sample:
    return Sample(
        id=f"run/{text}", text=text, token_ids=(1, 2), logprobs=(-0.5, -1.5), status=status
    )


def record(query_id: str, outcome: Outcome = Outcome.ANSWERED, strategy: str = "First()") -> Record:
    return Record(query_id=query_id, strategy=strategy, outcome=outcome, confidence=1.0)


def stored(path: Path) -> dict[str, list[str]]:
    return {query_id: [s.text for s in samples] for query_id, samples in RunReader(path).samples()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    queries = [Query(id=query_id, prompt="") for query_id in "abc"]
    with open_run(tmp_path / "run", fingerprint={}, config={}, queries=queries):
        return tmp_path / "run"


@pytest.fixture
async def store(run: Path) -> AsyncIterator[FileStore]:
    """A store that commits only when a test flushes it, or a batch is full."""
    async with aclosing(await FileStore.open(run, commit_s=NEVER_S)) as store:
        yield store


async def test_closing_commits_everything(run: Path) -> None:
    async with aclosing(await open_store(run)) as store:
        store.add("b", 1, sample("b1"))
        store.add("a", 0, sample("a0"))
        store.add("b", 0, sample("b0"))
        store.add_record(record("b"))
    assert list(stored(run).items()) == [("a", ["a0"]), ("b", ["b0", "b1"])]
    assert RunReader(run).records()[0].query_id == "b"


async def test_samples_come_back_whole(run: Path, store: FileStore) -> None:
    whole = sample("x")
    store.add("a", 3, whole)
    await store.flush()
    assert dict(RunReader(run).samples()) == {"a": (whole,)}
    assert store.get("a", 3) is None  # the store has not listed it yet
    await store.refresh()
    assert store.get("a", 3) == whole
    assert store.get("a", 4) is None
    assert store.get("unknown", 3) is None


async def test_nothing_is_written_before_it_is_due(run: Path, store: FileStore) -> None:
    store.add("a", 0, sample("x"))
    await asyncio.sleep(0)
    assert stored(run) == {}


async def test_a_commit_comes_by_itself(run: Path) -> None:
    async with aclosing(await FileStore.open(run, commit_s=0.01)) as store:
        store.add("a", 0, sample("x"))
        await store.committed()
        assert stored(run) == {"a": ["x"]}


async def test_a_full_batch_does_not_wait(run: Path, store: FileStore) -> None:
    for index in range(BATCH_SAMPLES):
        store.add("a", index, sample(str(index)))
    await store.committed()
    assert len(stored(run)["a"]) == BATCH_SAMPLES


async def test_flushing_nothing_returns_and_writes_nothing(run: Path, store: FileStore) -> None:
    await store.flush()
    await store.committed()
    assert os.listdir(run / "samples") == []


async def test_many_flushes_at_once_share_files(run: Path, store: FileStore) -> None:
    async def add_and_flush(index: int) -> None:
        store.add("a", index, sample(str(index)))
        await store.flush()

    await asyncio.gather(*(add_and_flush(index) for index in range(50)))
    assert len(stored(run)["a"]) == 50
    assert len(os.listdir(run / "samples")) <= 2


async def test_a_cancelled_flush_loses_nothing(run: Path) -> None:
    async with aclosing(await FileStore.open(run, commit_s=NEVER_S)) as store:
        store.add("a", 0, sample("x"))
        flushing = asyncio.create_task(store.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        store.add("a", 1, sample("y"))
    assert stored(run) == {"a": ["x", "y"]}


async def test_a_record_is_never_there_before_its_samples(run: Path, store: FileStore) -> None:
    shutil.rmtree(run / "samples")
    store.add("a", 0, sample("x"))
    store.add_record(record("a"))
    with pytest.raises(StoreError, match="cannot be written"):
        await store.flush()
    assert os.listdir(run / "records") == []
    os.mkdir(run / "samples")
    await store.flush()
    assert stored(run) == {"a": ["x"]}
    assert len(RunReader(run).records()) == 1


async def test_after_a_failure_every_call_says_so_until_it_is_mended(run: Path) -> None:
    store = await FileStore.open(run, commit_s=NEVER_S)
    store.add("a", 0, sample("committed"))
    await store.flush()
    os.rename(run / "samples", run / "elsewhere")
    store.add("a", 1, sample("kept"))
    with pytest.raises(StoreError, match=r"No such file or directory$") as error:
        await store.flush()
    assert "\n" not in str(error.value)
    with pytest.raises(StoreError, match="No such file"):
        store.add("a", 2, sample("kept too"))
    with pytest.raises(StoreError, match="No such file"):
        store.add_record(record("a"))
    os.rename(run / "elsewhere", run / "samples")
    await store.aclose()
    assert stored(run) == {"a": ["committed", "kept", "kept too"]}


async def test_closing_says_what_could_not_be_written(run: Path) -> None:
    store = await FileStore.open(run)
    shutil.rmtree(run)
    store.add("a", 0, sample("x"))
    with pytest.raises(StoreError, match="No such file or directory"):
        await store.aclose()
    assert os.listdir(run.parent) == []


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Make writes of more than this to one file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_write_that_fails_half_way_leaves_nothing_behind(
    run: Path, store: FileStore
) -> None:
    for index in range(1000):
        store.add("a", index, sample(str(index)))
    with largest_file(1000), pytest.raises(StoreError, match=r"cannot be written: File too large$"):
        await store.flush()
    assert os.listdir(run / "samples") == []
    await store.flush()
    assert len(stored(run)["a"]) == 1000


async def test_without_room_to_compact_all_stays_as_it_was(run: Path, store: FileStore) -> None:
    for start in (0, 1000):
        for index in range(start, start + 1000):
            store.add("a", index, sample(str(index)))
        await store.flush()
    folder = RunFolder(run)
    before = folder.parts("samples")
    with largest_file(1000):
        assert compact(folder) == []
    assert folder.parts("samples") == before
    compact(folder)
    assert len(folder.parts("samples")) == 1
    assert len(stored(run)["a"]) == 2000


async def test_a_value_of_the_wrong_kind_stops_the_run(run: Path) -> None:
    store = await FileStore.open(run)
    store.add("a", 0, Sample(id="x", text=None))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="cannot be stored"):
        await store.flush()
    with pytest.raises(StoreError, match="cannot be stored"):
        await store.aclose()


async def test_the_first_committed_wins_whoever_wrote_it(run: Path, store: FileStore) -> None:
    async with aclosing(await FileStore.open(run, commit_s=NEVER_S)) as other:
        writers = ((store, "first"), (other, "second"), (store, "third"))
        for index, (writer, text) in enumerate(writers, 1):
            writer.add("a", 0, sample(text))
            writer.add("a", index, sample(text))
            await writer.flush()
        await other.refresh()
        assert other.get("a", 0) == sample("first")
    assert stored(run) == {"a": ["first", "first", "second", "third"]}


async def test_failed_and_aborted_samples_stand_only_until_there_is_a_better_one(
    run: Path, store: FileStore
) -> None:
    for status in (Status.ERROR, Status.CANCELLED):
        store.add("a", 0, sample(status, status))
        await store.flush()
        await store.refresh()
        assert store.get("a", 0) is None
        assert stored(run) == {"a": ["error"]}
    for status in (Status.TRUNCATED, Status.OK):
        store.add("a", 0, sample(status, status))
        await store.flush()
        await store.refresh()
        assert store.get("a", 0) == sample("truncated", Status.TRUNCATED)
        assert stored(run) == {"a": ["truncated"]}


async def test_the_last_record_of_a_query_and_strategy_counts(run: Path, store: FileStore) -> None:
    def done() -> set[str]:
        return RunReader(run).done("First()")

    store.add_record(record("b", Outcome.ERROR))
    store.add_record(record("a", Outcome.ABSTAINED))
    store.add_record(record("c", strategy="Other()"))
    await store.flush()
    assert done() == {"a"}
    store.add_record(record("b"))
    await store.flush()
    assert done() == {"a", "b"}
    endings = [(r.query_id, r.strategy, r.outcome) for r in RunReader(run).records()]
    assert endings == [
        ("a", "First()", Outcome.ABSTAINED),
        ("b", "First()", Outcome.ANSWERED),
        ("c", "Other()", Outcome.ANSWERED),
    ]


async def test_a_writer_whose_clock_is_behind_still_comes_later(run: Path) -> None:
    future = RunFolder(run)
    name = "samples/09999999999999999999-00c0ffee.parquet"
    folder_writer = PartWriter(future, ["samples"])
    folder_writer.commit("samples", samples_table([("a", 0, sample("first"))]))
    [only] = future.parts("samples")
    os.rename(run / only, run / name)
    async with aclosing(await open_store(run)) as store:
        store.add("a", 0, sample("second"))
    assert stored(run) == {"a": ["first"]}


async def test_scores_are_kept_by_scorer(run: Path, store: FileStore) -> None:
    store.add_scores("reward", "a", {0: 0.5, 2: float("-inf")})
    store.add_scores("Reward(model='../x')", "a", {0: 7.0})
    await store.flush()
    store.add_scores("reward", "a", {0: 9.0, 1: 0.25})
    await store.flush()
    assert RunReader(run).scores("reward") == {"a": {0: 0.5, 1: 0.25, 2: float("-inf")}}
    assert RunReader(run).scores("Reward(model='../x')") == {"a": {0: 7.0}}
    assert RunReader(run).scores("unknown") == {}


async def test_a_store_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run directory must hold a run\.json"):
        await open_store(tmp_path)


async def test_memory_serves_where_nothing_is_kept(run: Path, store: FileStore) -> None:
    async with aclosing(await open_store(None)) as memory:
        assert isinstance(memory, MemoryStore)
        memory.add("a", 0, sample("failed", Status.ERROR))
        assert memory.get("a", 0) is None
        memory.add("a", 0, sample("first"))
        memory.add("a", 0, sample("second"))
        memory.add_record(record("a"))
        await memory.flush()
        assert memory.get("a", 0) == sample("first")


async def test_a_remote_run_serves_as_well() -> None:
    path = "fsspec+memory:///test_store_writer/run"
    with open_run(path, fingerprint={}, config={}, queries=[Query(id="a", prompt="")]) as run:
        for index in range(3):
            async with aclosing(await open_store(run.path)) as store:
                assert all(store.get("a", i) == sample(str(i)) for i in range(index))
                store.add("a", index, sample(str(index)))
                store.add_record(record("a"))
        run.compact()
        assert [len(samples) for _, samples in RunReader(path).samples()] == [3]
        assert run.done("First()") == {"a"}


async def test_a_reader_reads_the_columns_that_it_is_asked_for(run: Path) -> None:
    whole = replace(sample("7"), generated_tokens=2, engine="e0")
    async with aclosing(await open_store(run)) as store:
        store.add("a", 0, whole)
    reader = RunReader(run)
    bare = Sample(id=whole.id, text="")
    assert dict(reader.samples(columns=())) == {"a": (bare,)}
    assert dict(reader.samples(columns=["text"])) == {"a": (replace(bare, text="7"),)}
    some = replace(bare, text="7", logprobs=whole.logprobs, generated_tokens=2)
    columns = ["text", "logprobs", "generated_tokens"]
    assert dict(reader.samples(columns=columns)) == {"a": (some,)}
    assert dict(reader.samples()) == {"a": (whole,)}


async def test_files_do_not_come_faster_after_many_tokens(run: Path, store: FileStore) -> None:
    """A batch is full by its own tokens, not by those of all batches before."""
    many = replace(sample("x"), token_ids=(1,) * BATCH_TOKENS, logprobs=None)
    store.add("a", 0, many)
    await store.committed()
    before = len(list((run / "samples").iterdir()))
    for index in range(1, 40):
        store.add("a", index, sample(str(index)))
        await asyncio.sleep(0)
    assert len(list((run / "samples").iterdir())) == before
    await store.flush()
    assert len(list((run / "samples").iterdir())) == before + 1


async def test_it_commits_while_all_other_threads_are_busy(run: Path, store: FileStore) -> None:
    gate = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(gate.wait)) for _ in range(64)]
    await asyncio.sleep(0)
    store.add("a", 0, sample("x"))
    async with asyncio.timeout(30):
        await store.flush()
    gate.set()
    await asyncio.gather(*busy)
