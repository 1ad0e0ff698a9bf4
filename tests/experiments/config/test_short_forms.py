"""A config may leave out what its file name, a suffix or another key says."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from nbest.experiments.config.config import Config, load_config
from nbest.experiments.config.short_forms import with_short_forms, written_out
from nbest.orchestrator.errors import InputError


def test_the_shortest_config_has_two_lines(tmp_path: Path) -> None:
    file = tmp_path / "my-questions.yaml"
    file.write_text("dataset: own/questions.csv\nmodel: Qwen/Qwen3-8B\n")
    config = load_config(file)
    assert config.name == "my-questions"
    assert config.dataset.kind == "csv"
    assert config.model.backend == "vllm"
    assert config.model.build().identity["model"] == "Qwen/Qwen3-8B"


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        ({"path": "a/b.JSONL"}, "jsonl"),
        ({"path": "b.parquet", "answer": "gold"}, "parquet"),
        ({"repo": "openai/gsm8k"}, "hub"),
        ({"task": "chain_sum"}, "reasoning_gym"),
        ({"path": "b.txt"}, None),
        ({"kind": "csv", "path": "b.jsonl"}, "csv"),
        ({}, None),
    ],
)
def test_a_kind_that_shows_need_not_be_given(dataset: dict[str, str], kind: str | None) -> None:
    data = written_out({"dataset": dataset})
    assert isinstance(data, dict)
    assert data["dataset"].get("kind") == kind


@pytest.mark.parametrize(
    "config",
    [
        {"dataset": "own.csv", "model": "Qwen/Qwen3-8B"},
        {"name": "c", "dataset": {"path": "own.csv"}, "model": {"backend": "fake"}},
        {"dataset": {"kind": "hub", "repo": "openai/gsm8k"}, "model": {"model": "x"}},
    ],
)
def test_editors_accept_short_forms(config: dict[str, object]) -> None:
    schema = with_short_forms(Config.model_json_schema())
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config | {"dataset": 3}, schema)


def test_what_does_not_show_must_be_given(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("dataset: questions.txt\nmodel: {backend: fake}\n")
    with pytest.raises(InputError, match=r"c.yaml:1: dataset.kind must be given, got nothing"):
        load_config(file)
