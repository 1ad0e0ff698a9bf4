"""Tests that names are safe and sort in the order of commits, and files are whole or missing."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError, StoreError
from nbest.orchestrator.files import without_password
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.names import (
    is_part,
    is_temporary,
    merged_name,
    part_name,
    part_stamp_ns,
    slug,
    temporary_name,
)

STAMP = st.integers(0, 10**19)
WRITER = st.integers(0, 2**32 - 1).map("{:08x}".format)


@given(STAMP, WRITER, STAMP, WRITER)
def test_names_sort_as_their_stamps(a_ns: int, a: str, b_ns: int, b: str) -> None:
    first, second = part_name("samples", a_ns, a), part_name("samples", b_ns, b)
    assert (first < second) == ((a_ns, a) < (b_ns, b))
    assert part_stamp_ns(first) == a_ns
    assert is_part(first.removeprefix("samples/"))


@given(STAMP, WRITER, STAMP, WRITER)
def test_a_merged_file_stands_where_its_first_part_stood(
    a_ns: int, a: str, b_ns: int, b: str
) -> None:
    first, other = part_name("samples", a_ns, a), part_name("samples", b_ns, b)
    merged = merged_name(first)
    assert is_part(merged.removeprefix("samples/"))
    assert merged < first
    assert merged_name(merged) not in (merged, first)
    if other != first:
        assert (merged < other) == (first < other)
        assert (merged_name(merged) < other) == (first < other)


@given(st.text(min_size=1, max_size=200))
def test_any_scorer_name_makes_one_safe_folder_name(name: str) -> None:
    safe = slug(name)
    assert safe == os.path.basename(safe)
    assert safe not in (".", "..")
    assert not safe.startswith(".")
    assert safe.isascii()
    assert len(safe) <= 80
    assert slug(safe) == safe


def test_different_scorers_have_different_folders() -> None:
    names = ["vote", "Reward(model='a')", "Reward(model='b')", "a/b", "a-b", "../a", "..", "."]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("mean_logprob") == "mean_logprob"


def test_temporary_names_are_no_parts() -> None:
    name = part_name("samples", 5, "00c0ffee")
    own = temporary_name(name).removeprefix("samples/")
    assert is_temporary(own)
    assert not is_part(own)


def test_a_commit_replaces_the_whole_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.commit("run.json", b"long, and longer")
    folder.commit("run.json", b"short")
    assert folder.read("run.json") == b"short"
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_commit_into_nothing_says_so_in_one_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "gone")
    with pytest.raises(StoreError, match=r"cannot be written: No such file or directory$") as error:
        folder.commit("samples/x", b"")
    assert "\n" not in str(error.value)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="run directory must be a directory that can be made"):
            RunFolder(path).create()


@pytest.mark.parametrize("path", ["", "a\0b", "nope://bucket/run"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="run directory must be a path or a URI"):
        RunFolder(path)


def test_passwords_in_a_uri_are_not_shown() -> None:
    assert without_password("s3://key:se/cret@bucket/run") == "s3://***@bucket/run"
    assert without_password("s3://key@bucket/run@2") == "s3://***@bucket/run@2"
    assert without_password("s3://bucket/run@2?secret_key=x") == "s3://bucket/run@2?***"
    assert without_password("runs/a@b?c") == "runs/a@b?c"
    with pytest.raises(InputError) as error:
        RunFolder("nope://key:secret@bucket/run")
    assert "secret" not in str(error.value)


def test_a_remote_filesystem_serves_as_well() -> None:
    folder = RunFolder("fsspec+memory:///test_store_files/run")
    folder.create()
    folder.add_folder("samples")
    name = part_name("samples", 5, "00c0ffee")
    folder.commit(name, b"data")
    assert not folder.is_local
    assert folder.parts("samples") == [name]
    with folder.open(name) as stream:
        assert stream.read() == b"data"
    folder.delete(name)
    folder.delete(name)
    assert folder.parts("samples") == []
    with pytest.raises(FileNotFoundError):
        folder.read(name)
