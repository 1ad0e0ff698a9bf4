"""Files and folders are written whole, or the old ones stay."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from nbest.orchestrator.files import run_name, whole_folder, write_whole


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


@pytest.mark.parametrize("steps", range(1, 4))
def test_a_kill_at_any_moment_leaves_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The old one or the new one, under its own name: the two change places in one step."""
    path = tmp_path / "model"
    with whole_folder(path) as folder:
        (folder / "weights").write_text("old")
    left = [steps]

    def killed(*args: object, **kwargs: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with contextlib.suppress(KeyboardInterrupt), whole_folder(path) as folder:
        (folder / "weights").write_text("new")
    assert (path / "weights").read_text() in ("old", "new")


@pytest.mark.parametrize(
    ("path", "name"),
    [("runs/demo", "demo"), ("runs/demo/", "demo"), ("s3://b/x/demo?a=b/c", "demo")],
)
def test_the_name_of_a_run_is_the_last_part_of_its_place(path: str, name: str) -> None:
    assert run_name(path) == name
