"""Runs that stopped drawing by what they saw: whoever looks at their means is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.analysis.bias_notes import run_notes, stopping_notes
from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.analysis.curves.of_run import curves_of
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.app import app
from nbest.experiments.config.config import load_config
from nbest.experiments.config.strategy import KINDS, TREES, StrategySection
from nbest.experiments.report.data import run_report
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.store.reader import RunReader
from nbest.scorers.estimators.intervals import clustered_interval

FAKE = 'model={backend: fake, answers: ["7", "8"], weights: [3, 1]}'
SAID = "depended on what they said (strategy."


def test_every_kind_is_a_key_of_the_section() -> None:
    assert set(KINDS) <= set(StrategySection.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stops_by_what_it_sees_is_told(kind: str) -> None:
    (note,) = stopping_notes({"strategy": {"n": 8, kind: "anything"}})
    of_trees = f"of a tree (strategy.{kind}) and depend on each other"
    said = of_trees if kind in TREES else f"{SAID}{kind})"
    assert f"{said}: the mean of one sample, and all curves, are biased" in note


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


TEMPLATES = ("How much is {} apples and {} pears?", "Sell {} of {} eggs: what is left?")


def templated(folder: Path, prompts: list[str], *settings: str) -> Path:
    rows = [
        {"id": f"q{i}", "question": text, "answer": "7", "kind": f"t{i // 3}"}
        for i, text in enumerate(prompts)
    ]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load_config(
        Path("experiments/configs/demo.yaml"),
        [
            FAKE,
            f"dataset={{kind: jsonl, path: {folder / 'q.jsonl'}}}",
            "prompt={template: '{question}'}",
            "strategy={n: 4}",
            'select=["vote"]',
            "grade=number",
            "cluster={local: true}",
            *settings,
        ],
    )
    carry_out(make_plan(config), folder / "run", lambda progress: None)
    return folder / "run"


def test_questions_from_one_template_are_told_of(tmp_path: Path) -> None:
    prompts = [text.format(i, i + 1) for text in TEMPLATES for i in range(6)]
    (note,) = run_notes(RunReader(templated(tmp_path, prompts)))
    assert note.startswith("12 of 12 questions differ from others in their numbers alone (2 templ")
    assert "dataset.cluster names the column" in note


def test_questions_of_their_own_are_not(tmp_path: Path) -> None:
    words = ("dog", "cat", "cow", "hen", "pig", "ant", "bee", "fly", "owl", "rat")
    prompts = [f"What does a {word} do in {i} days?" for i, word in enumerate(words)]
    assert run_notes(RunReader(templated(tmp_path, prompts))) == ()


def test_a_cluster_widens_every_interval_and_says_nothing_more(tmp_path: Path) -> None:
    prompts = [text.format(i, i + 1) for text in TEMPLATES for i in range(9)]
    (tmp_path / "plain").mkdir()
    (tmp_path / "named").mkdir()
    plain = templated(tmp_path / "plain", prompts)
    named = templated(tmp_path / "named", prompts, "dataset.cluster=kind")
    assert run_notes(RunReader(named)) == ()
    assert RunReader(named).queries[4].meta["kind"] == "t1"
    row, clustered = (compare(run, "vote").rows[0] for run in (plain, named))
    values = [float(v) for v in clustered.verdicts.values()]
    names = [f"t{i // 3}" for i in range(18)]
    assert (clustered.low, clustered.high) == clustered_interval(values, clusters=names)
    assert clustered.accuracy == row.accuracy
    curve, replayed = curves_of(named, "vote"), replay(named, max_n=4, shuffles=4)
    shares = [case.worths for case in graded_cases(load_cases(named))]
    one = clustered_interval([sum(w) / 4 for w in shares], clusters=names)
    assert (curve.baselines[0].low[0], curve.baselines[0].high[0]) == one
    assert replayed.high - replayed.low > 0
