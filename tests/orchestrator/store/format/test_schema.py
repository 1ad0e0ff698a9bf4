"""Tests that what goes into a table comes back equal: every field, every value, None or empty."""

import dataclasses
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.store.format.arrow import Table, pa, parquet
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.parquet import SCHEMA_VERSION, DamagedFile, encode, open_part
from nbest.orchestrator.store.format.schema import (
    RECORDS,
    SAMPLES,
    queries_of,
    queries_table,
    records_of,
    records_table,
    samples_table,
)
from nbest.orchestrator.store.index import SampleBlock
from nbest.orchestrator.types import (
    Message,
    Outcome,
    Query,
    Record,
    Sample,
    Status,
    TopLogprobs,
    Usage,
)

TEXT = st.text(max_size=20)
QUERY_ID = st.text(min_size=1, max_size=20)
COUNT = st.integers(0, 2**40)
FLOATS = st.floats()  # infinities, nan, signed zeros and all
COUNT_OF_TOP = st.integers(1, 20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
SAMPLE = st.builds(
    Sample,
    id=TEXT,
    text=TEXT,
    token_ids=st.lists(st.integers(0, 2**31 - 1), max_size=5).map(tuple),
    logprobs=st.none() | st.lists(FLOATS, max_size=5).map(tuple),
    top_logprobs=st.none()
    | st.builds(TopLogprobs, k=COUNT_OF_TOP, packed=st.binary(), texts=TEXTS),
    status=st.sampled_from(Status),
    error=TEXT,
    prompt_tokens=COUNT,
    cached_tokens=COUNT,
    generated_tokens=COUNT,
    first_token_s=FLOATS,
    total_s=FLOATS,
    engine=TEXT,
)
RECORD = st.builds(
    Record,
    query_id=TEXT,
    strategy=TEXT,
    outcome=st.sampled_from(Outcome),
    index=st.none() | st.integers(0, 2**31 - 1),
    answer=st.none() | TEXT,
    confidence=FLOATS,
    error=TEXT,
    usage=st.builds(
        Usage,
        samples=COUNT,
        prompt_tokens=COUNT,
        cached_tokens=COUNT,
        generated_tokens=COUNT,
        cancelled_tokens=COUNT,
    ),
    seconds=FLOATS,
)
MESSAGE = st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=TEXT)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
QUERY = st.builds(
    Query,
    id=QUERY_ID,
    prompt=TEXT | st.lists(MESSAGE, max_size=3).map(tuple),
    meta=st.dictionaries(TEXT, JSON, max_size=3),
)


def exact(value: object) -> object:
    """Return the value with floats as their bits, so that nan equals nan and 0.0 is not -0.0."""
    if isinstance(value, float):
        return struct.pack("d", value if value == value else float("nan"))
    if isinstance(value, tuple | list):
        return [exact(v) for v in value]
    if dataclasses.is_dataclass(value):
        return {f.name: exact(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def reread(table: Table) -> Table:
    return parquet.read_table(pa.BufferReader(encode(table)))


def samples_of(table: Table) -> list[Sample]:
    block = SampleBlock(table)
    return [block.sample(row) for row in range(len(table))]


@given(st.lists(SAMPLE, max_size=6))
def test_samples_come_back_equal(samples: Sequence[Sample]) -> None:
    table = reread(samples_table([("q", i, s) for i, s in enumerate(samples)]))
    assert exact(samples_of(table)) == exact(samples)


@given(st.lists(RECORD, max_size=6))
def test_records_come_back_equal(records: Sequence[Record]) -> None:
    assert exact(records_of(reread(records_table(records)))) == exact(records)


@given(st.lists(QUERY, max_size=6))
def test_queries_come_back_equal(queries: Sequence[Query]) -> None:
    assert queries_of(reread(queries_table(queries))) == queries


def test_no_logprobs_are_not_empty_logprobs() -> None:
    given_samples = [Sample(id="a", text=""), Sample(id="b", text="", logprobs=())]
    table = reread(samples_table([("q", i, s) for i, s in enumerate(given_samples)]))
    assert [s.logprobs for s in samples_of(table)] == [None, ()]


def test_every_field_has_a_column() -> None:
    fields = [f.name for f in dataclasses.fields(Sample)]
    assert sorted(SAMPLES.names) == sorted(["query_id", "index", *fields])
    usage = [f"usage_{f.name}" for f in dataclasses.fields(Usage)]
    plain = [f.name for f in dataclasses.fields(Record) if f.name not in ("usage", "selection")]
    assert sorted(RECORDS.names) == sorted([*plain, *usage])


def test_a_run_from_before_there_were_top_logprobs_can_be_read() -> None:
    samples = [Sample(id="a", text="7"), Sample(id="b", text="8", logprobs=(-1.0,))]
    table = samples_table([("q", i, s) for i, s in enumerate(samples)])
    assert samples_of(reread(table.drop_columns(["top_logprobs"]))) == samples


def test_meta_that_json_does_not_know_is_kept_as_text() -> None:
    query = Query(id="q", prompt="p", meta={"when": {1}})
    assert queries_of(queries_table([query]))[0].meta == {"when": "{1}"}


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_joined() -> None:
    texts = ["a\ud800b", "\ud83d\ude00", "fine"]
    table = samples_table([("q", i, Sample(id="", text=t)) for i, t in enumerate(texts)])
    assert [s.text for s in samples_of(table)] == ["a\ufffdb", "\U0001f600", "fine"]


def test_blocks_find_their_rows_in_slices_too() -> None:
    rows = [("q", i, Sample(id="", text=str(i), token_ids=(i, i))) for i in range(10)]
    assert [s.token_ids for s in samples_of(samples_table(rows).slice(4, 3))] == [
        (4, 4),
        (5, 5),
        (6, 6),
    ]


def test_few_rows_that_are_long_share_a_group() -> None:
    rows = [("q", i, Sample(id="", text=f"{i:9}" * 60_000)) for i in range(64)]
    file = parquet.ParquetFile(pa.BufferReader(encode(samples_table(rows))))
    assert 2 <= file.num_row_groups <= 4


@pytest.mark.parametrize(
    ("metadata", "kind", "text"),
    [
        ({"nbest.schema": str(SCHEMA_VERSION + 1)}, StoreError, "use a newer nbest"),
        ({}, DamagedFile, "not written by nbest"),
    ],
)
def test_a_file_of_another_schema_is_refused(
    tmp_path: str, metadata: dict[str, str], kind: type[StoreError], text: str
) -> None:
    table = samples_table([]).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    folder = RunFolder(tmp_path)
    folder.commit("x.parquet", sink.getvalue().to_pybytes())
    with pytest.raises(StoreError, match=text) as caught, open_part(folder, "x.parquet"):
        pass
    assert type(caught.value) is kind
