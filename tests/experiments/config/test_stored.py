"""A stored config, written as a file, makes the same run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbest.experiments.config.config import load_config
from nbest.experiments.config.stored import stored_config_text
from nbest.experiments.starters.write import STARTERS, write_starter
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.format.manifest import new_manifest
from nbest.orchestrator.store.reader import RunReader

EXAMPLES = sorted(Path("experiments/configs").glob("*.yaml"))


def stored_text(config: dict[str, object], folder: Path) -> str:
    """What is written of a run that holds this config."""
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text(new_manifest({}, config).to_json())  # type: ignore[arg-type]
    return stored_config_text(RunReader(folder / "run"))


@pytest.mark.parametrize("name", [*STARTERS, *(str(path) for path in EXAMPLES)])
def test_it_is_the_same_config(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(name) if name.endswith(".yaml") else write_starter(name, tmp_path / name)[0]
    config = load_config(file)
    text = stored_text(config.model_dump(mode="json", by_alias=True), tmp_path)
    (tmp_path / f"{config.name}.yaml").write_text(text)
    assert load_config(tmp_path / f"{config.name}.yaml") == config
    assert "&" not in text.split("\n")[0]
    assert "null" not in text


def test_a_config_of_a_plugin_that_is_not_here_is_written_whole(tmp_path: Path) -> None:
    file = write_starter("own", tmp_path / "own")[0]
    config = load_config(file).model_dump(mode="json", by_alias=True) | {"select": ["not_here"]}
    text = stored_text(config, tmp_path)
    assert "- not_here" in text
    assert "max_tokens" in text


def test_an_imported_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run must be one that was sampled"):
        stored_text(json.loads('{"imported": true}'), tmp_path)
