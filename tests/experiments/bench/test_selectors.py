"""`nbest bench selectors` measures every figure that it lists; no speed is tested here."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest
from typer.testing import CliRunner

from nbest.experiments.bench.selectors import HOLDS, SelectorSpeeds, measure_selectors, speeds_table
from nbest.experiments.cli.app import app


@pytest.fixture(scope="module")
def speeds() -> SelectorSpeeds:
    pytest.importorskip("math_verify")
    return measure_selectors(candidates=100, rounds=1)


def test_every_figure_is_measured(speeds: SelectorSpeeds) -> None:
    assert all(value > 0 for value in asdict(speeds).values())
    assert {f.name for f in fields(speeds)} == {"candidates", *HOLDS}


def test_the_table_has_a_line_for_each_hold(speeds: SelectorSpeeds) -> None:
    assert speeds_table(speeds).row_count == len(HOLDS)


def test_the_command_prints_one_document() -> None:
    pytest.importorskip("math_verify")
    options = ["bench", "selectors", "--candidates", "50", "--rounds", "1", "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["candidates"] == 50
    assert {"vote_per_s", "math_vote_per_s"} <= set(document)
