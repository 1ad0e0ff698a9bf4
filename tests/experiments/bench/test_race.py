"""`nbest bench race`: on virtual clocks its figures are those of the code, not of the machine."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from nbest.experiments.bench.race import Lengths, draw_lengths, measure_races, run_race
from nbest.experiments.cli.app import app
from nbest.orchestrator.errors import InputError


def test_a_race_by_hand() -> None:
    tokens, valid = np.array([100, 40, 300, 60]), np.array([True, False, False, True])
    race = run_race(Lengths(tokens=tokens, valid=valid))
    assert race.is_answered
    assert race.seconds == pytest.approx(0.6)
    assert race.tokens == 60 + 40 + 60 + 60
    assert race.saved == 1.0


def test_a_race_without_a_winner_goes_to_its_end() -> None:
    race = run_race(Lengths(tokens=np.array([5, 9]), valid=np.array([False, False])))
    assert not race.is_answered
    assert (race.seconds, race.tokens) == (pytest.approx(0.09), 14)
    assert math.isnan(race.saved)


def test_the_first_valid_of_32_is_the_answer_at_once_and_losers_stop_costing() -> None:
    (row,) = measure_races([32], 0.2, 40)
    assert row.latest <= 0.05
    assert row.least_saved >= 0.95
    assert row.answered == np.mean([draw_lengths(32, 0.2, seed).valid.any() for seed in range(40)])


def test_bench_alone_lists_what_can_be_measured() -> None:
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 0
    assert {"control", "estimates", "race"} <= {
        line.split()[0] for line in result.stdout.split("\n  ")
    }


def test_the_command_prints_a_table_or_json() -> None:
    options = ["bench", "race", "--races", "2", "--valid", "0.5"]
    assert "least saved" in CliRunner().invoke(app, options).stdout
    document = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)["rows"]
    assert [row["n"] for row in document] == [1, 2, 4, 8, 16, 32]
    assert document[0]["least_saved"] is None
    with pytest.raises(InputError, match=r"valid must lie in \(0, 1\], got 0.0"):
        CliRunner().invoke(app, ["bench", "race", "--valid", "0"], catch_exceptions=False)
