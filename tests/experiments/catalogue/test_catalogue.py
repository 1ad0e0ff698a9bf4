"""What there is, by name: every name has a sentence, and every key of a config is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from nbest.experiments.catalogue.parts import KINDS, OURS, listed
from nbest.experiments.catalogue.run_folders import runs_in
from nbest.experiments.cli.app import app
from nbest.experiments.cli.display.help_groups import GROUPS
from nbest.experiments.config.config import Config
from nbest.experiments.config.plugins import SELECTORS
from nbest.orchestrator.errors import InputError
from tests.experiments.picked_runs import picked_run

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plugins"])
def test_every_name_has_a_sentence(kind: str) -> None:
    found = listed(kind)
    assert found
    for one in found:
        assert one.origin == OURS
        assert len(one.what) > 10, one
        assert not one.what.startswith("cannot be imported"), one


def test_all_selectors_are_listed() -> None:
    assert [one.name for one in listed("selectors")] == list(SELECTORS.names())


def test_a_key_of_a_config_is_told() -> None:
    one = CliRunner().invoke(app, ["config", "sampling.temperature"])
    assert "0 is greedy" in one.stdout
    assert "top_p" not in one.stdout
    section = CliRunner().invoke(app, ["config", "sampling"])
    assert "sampling.top_p" in section.stdout
    wrong = CliRunner().invoke(app, ["config", "sampling.temprature"])
    assert isinstance(wrong.exception, InputError)
    assert "did you mean 'sampling.temperature'" in str(wrong.exception)
    kinds = CliRunner().invoke(app, ["list", "selector"])
    assert "did you mean 'selectors'" in str(kinds.exception)


def test_the_schema_of_a_config_takes_the_ready_ones() -> None:
    schema = json.loads(CliRunner().invoke(app, ["config", "--schema"]).stdout)
    validator = Draft202012Validator(schema)
    for file in CONFIGS.glob("*.yaml"):
        assert list(validator.iter_errors(yaml.safe_load(file.read_text()))) == [], file.name
    assert schema["properties"].keys() >= Config.model_fields.keys() - {"schema_text"}


def test_runs_are_listed_and_broken_ones_say_so(tmp_path: Path) -> None:
    picked_run(tmp_path, {"q0": ["a"], "q1": ["b"]})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    (tmp_path / "other").mkdir()
    whole, broken = runs_in(str(tmp_path))
    assert (whole.questions, whole.ended) == (2, 0)
    assert whole.path.endswith("run")
    assert broken.error
    shown = CliRunner().invoke(app, ["runs", str(tmp_path)])
    assert "run.json" in shown.stdout
    empty = CliRunner().invoke(app, ["runs", str(tmp_path / "other")])
    assert "no runs in" in empty.stdout
    with pytest.raises(InputError, match="folder must be one that holds runs"):
        runs_in(str(tmp_path / "nowhere"))


def test_every_command_stands_in_a_group() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Others:" not in shown
    for names in GROUPS.values():
        for name in names:
            assert f"  {name} " in shown, name
