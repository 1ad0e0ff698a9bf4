"""A run folder that nbest 0.1.0 made, before there were rooms, is read as it was and goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nbest.experiments.analysis.curves.of_run import curves_of
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.analysis.select import compare
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.reader import RunReader

DATA = Path(__file__).parents[2] / "data" / "run_of_0_1"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be written to; its config names the questions by a relative path."""
    shutil.copytree(DATA, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def test_its_samples_are_chosen_from_with_the_same_answers(old: Path) -> None:
    selectors = "vote,mean_logprob,random(seed=3),shortest"
    rows = compare(old / "run", selectors).rows
    assert {row.select: row.accuracy for row in rows} == {
        "vote": 0.5,
        "mean_logprob": 0.25,
        "random(seed=3)": 0.0,
        "shortest": 0.5,
    }
    assert [row.tokens for row in rows] == [24] * 4


def test_its_curves_and_replays_are_the_same(old: Path) -> None:
    (vote,) = curves_of(old / "run", "vote").curves
    assert vote.mean == pytest.approx([0.25] * 6)
    replayed = replay(old / "run", "adaptive(rule=vote_stands)", max_n=6, shuffles=100)
    assert replayed.accuracy == pytest.approx(0.2375)
    assert replayed.samples == pytest.approx(3.105)
    assert replayed.tokens_fixed == 6.0


@pytest.mark.parametrize("changes", [(), ("strategy.rule=vote_stands",)], ids=["run", "adaptive"])
def test_the_same_command_goes_on_and_draws_nothing(old: Path, changes: tuple[str, ...]) -> None:
    run = old / ("adaptive" if changes else "run")
    before = dict(RunReader(run).samples())
    answers = {record.query_id: record.answer for record in RunReader(run).records()}
    seen: list[Progress] = []
    records = carry_out(make_plan(load_config(old / "config.yaml", changes)), run, seen.append)
    assert {record.query_id: record.answer for record in records} == answers
    assert dict(RunReader(run).samples()) == before
    assert all(progress.samples_drawn == 0 for progress in seen)


def test_more_samples_are_added_to_it(old: Path) -> None:
    before = dict(RunReader(old / "run").samples())
    plan = make_plan(load_config(old / "config.yaml", ["strategy.n=8"]))
    carry_out(plan, old / "run", lambda progress: None)
    after = dict(RunReader(old / "run").samples())
    assert {query: samples[:6] for query, samples in after.items()} == before
    assert {len(samples) for samples in after.values()} == {8}
