"""Files and folders are written whole, or the old ones stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbest.orchestrator.files import whole_folder, write_whole


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for text in ("old", "new"):
        write_whole(path, text.encode())
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken" / "by").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"text")  # a folder is there
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_takes_the_place_of_another_when_it_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with whole_folder(path) as folder:
        (folder / "weights").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_folder(path) as folder:
        (folder / "weights").write_text("half" * (1 // 0))
    assert (path / "weights").read_text() == "old"
    with whole_folder(path) as folder:  # what was left unfinished is no hindrance
        assert list(folder.iterdir()) == []
        (folder / "weights").write_text("new")
    assert (path / "weights").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
