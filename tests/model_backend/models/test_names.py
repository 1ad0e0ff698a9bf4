"""The name of a model leads to what an engine loads; nothing is fetched here."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbest.model_backend.models.names import is_local, resolve_model
from nbest.model_backend.models.small_model import cached_model
from nbest.orchestrator.errors import InputError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a model."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "name", ["Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B", "a/b", "0-hero/Matter_0.1-7B"]
)
def test_a_hub_id_stays_what_it_is(name: str) -> None:
    assert resolve_model(name) == name


def test_a_folder_becomes_its_full_path(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(str(model)) == str(model.resolve())
    monkeypatch.chdir(model.parent)
    for name in ("./my-model", "my-model", "../" + model.parent.name + "/my-model"):
        assert resolve_model(name) == str(model.resolve())
    monkeypatch.setenv("HOME", str(model.parent))
    assert resolve_model("~/my-model") == str(model.resolve())


def test_a_folder_that_is_there_is_no_hub_id(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`org/model` under the working directory is a folder first."""
    monkeypatch.chdir(model.parent.parent)
    name = f"{model.parent.name}/{model.name}"
    assert is_local(name)
    assert resolve_model(name) == str(model.resolve())


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "../nowhere", "~/nowhere/at/all"])
def test_a_path_without_a_model_is_refused_and_never_looked_up_on_a_hub(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_model(name)
    path = str(Path(name).expanduser())
    assert str(caught.value) == f"model must be a folder that holds config.json, got {path!r}"


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a folder that holds config\.json"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize(
    "name", ["llama", "a/b/c", "no such model", "owner/", "/", "-a/b", "owner/na me", "own\ner/x"]
)
def test_any_other_name_is_refused_with_the_three_ways(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_model(name)
    message = str(caught.value)
    assert message.startswith("model must be ")
    assert message.endswith(f"got {name!r}")
    assert message.isprintable()


@pytest.mark.skipif(cached_model() is None, reason="the small model has not been fetched")
@pytest.mark.parametrize("name", ["smollm2-135m", "SmolLM2-135M"])
def test_the_small_model_goes_by_its_name(name: str) -> None:
    assert resolve_model(name) == str(cached_model())
