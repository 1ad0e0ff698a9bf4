"""Accuracy against thought in the report: a panel whose arms think differently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.report.data import run_report
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.store.reader import RunReader

CONFIG: dict[str, Any] = {
    "name": "t",
    "dataset": {"kind": "jsonl", "path": "questions.jsonl"},
    "prompt": {"template": "Q: {question}"},
    "model": {"backend": "fake", "answers": ["1", "2", "3"], "weights": [2, 1, 1]},
    "arms": [
        {"name": "quick", "thinking": "off"},
        {"name": "brief", "thinking": {"effort": "low"}},
        {"name": "long", "thinking": {"budget": 12}},
    ],
    "strategy": {"n": 12},
    "extract": "last_number",
    "grade": "number",
    "cluster": {"local": True},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [{"id": f"q{i}", "question": f"What is {i}?", "answer": "1"} for i in range(8)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def carried_out(folder: Path, **changes: object) -> Path:
    (folder / "c.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    carry_out(make_plan(load_config(folder / "c.yaml")), folder / "run", lambda progress: None)
    return folder / "run"


def test_each_arm_thinks_as_it_was_told(folder: Path) -> None:
    run = carried_out(folder)
    for _, samples in RunReader(run).samples():
        spoken = {sample.arm: sample.reasoning.split().count("so") for sample in samples}
        assert spoken == {"quick": 0, "brief": 4, "long": 12}
        assert all(sample.text in "123" for sample in samples)


def test_the_report_sets_accuracy_against_the_tokens_of_thought(folder: Path) -> None:
    report = run_report(carried_out(folder))
    curves = {curve.arm: curve for curve in report.thinking}
    assert set(curves) == {"quick", "brief", "long"}
    assert set(curves["quick"].tokens) == {0.0}
    one = {arm: curve.tokens[0] for arm, curve in curves.items()}
    assert 0 < one["brief"] < one["long"]
    for curve in curves.values():
        assert curve.ks == (1, 2, 4)
        assert curve.tokens == tuple(k * curve.tokens[0] for k in curve.ks)
        assert all(map(float.__le__, curve.low, curve.mean))
        assert all(map(float.__le__, curve.mean, curve.high))


def test_without_arms_all_samples_are_one_line(folder: Path) -> None:
    run = carried_out(folder, arms=[], sampling={"thinking": "on"})
    (curve,) = run_report(run).thinking
    assert (curve.arm, curve.ks[-1]) == ("all samples", 12)


def test_a_run_without_thoughts_has_no_such_picture(folder: Path) -> None:
    run = carried_out(folder, arms=[])
    assert run_report(run).thinking == ()
    assert "against thought" not in page_of(run)


def test_the_page_shows_the_arms_and_the_picture(folder: Path) -> None:
    page = page_of(carried_out(folder))
    assert "<h2>Accuracy against thought</h2>" in page
    assert "Accuracy against tokens of thought: " in page  # what screen readers say
    for arm in ("quick", "brief", "long", "all arms"):
        assert f"<td>{arm}</td>" in page


def page_of(run: Path) -> str:
    out = run.parent / "page.html"
    shown = CliRunner().invoke(app, ["report", str(run), "--out", str(out), "--force"])
    assert shown.exit_code == 0, shown.output
    return out.read_text(encoding="utf-8")
