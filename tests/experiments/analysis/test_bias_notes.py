"""Runs that stopped drawing by what they saw: whoever looks at their means is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.analysis.bias_notes import stopping_notes
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.config.strategy import KINDS, StrategySection
from nbest.experiments.report.data import run_report
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan

FAKE = 'model={backend: fake, answers: ["7", "8"], weights: [3, 1]}'
SAID = "depended on what they said (strategy."


def test_every_kind_is_a_key_of_the_section() -> None:
    assert set(KINDS) <= set(StrategySection.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stops_by_what_it_sees_is_told(kind: str) -> None:
    (note,) = stopping_notes({"strategy": {"n": 8, kind: "anything"}})
    assert f"{SAID}{kind}): the mean of one sample, and all curves, are biased" in note


@pytest.mark.parametrize("config", [{}, {"strategy": {"n": 8}}, {"strategy": {"rule": None}}])
def test_a_fixed_number_is_not(config: dict[str, object]) -> None:
    assert stopping_notes(config) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [True, False])
def test_the_curve_and_the_report_of_such_a_run_say_it(rule: bool, tmp_path: Path) -> None:
    changes = [FAKE, "dataset.size=4", "strategy.n=6", 'select=["vote"]', "cluster={local: true}"]
    changes += ["strategy.rule=unanimous_window(size=2)"] if rule else []
    config = load_config(Path("experiments/configs/demo.yaml"), changes)
    carry_out(make_plan(config), tmp_path, lambda progress: None)
    result = CliRunner().invoke(app, ["curve", str(tmp_path), "--select", "vote", "--k", "1"])
    assert result.exit_code == 0, result.output
    assert (SAID in result.stdout) == rule
    assert any(SAID in note for note in run_report(tmp_path, ["vote"]).notes) == rule
