"""Runs of an adaptive strategy: fewer samples, the same vote, resumed without an engine."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from nbest.experiments.analysis.select import compare
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.execute import carry_out, failures
from nbest.experiments.runs.plan import make_plan
from nbest.orchestrator.errors import InputError, RunChanged
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.format.files import RunFolder
from nbest.orchestrator.store.format.parquet import PartWriter
from nbest.orchestrator.store.format.schema import records_table
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.strategies.stop_on_votes import BetaStop, VoteStands
from nbest.orchestrator.types import Outcome


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lines = [{"question": f"what is {i}?", "answer": "42"} for i in range(20)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "config.yaml"
    path.write_text(
        f"name: adaptive\n"
        f"dataset: {{kind: jsonl, path: {data}}}\n"
        "prompt: {template: '{question}'}\n"
        "model: {backend: fake, weights: [8, 1, 1]}\n"
        "strategy: {n: 32, rule: vote_stands, ahead: 2}\n"
        "extract: last_number\n"
        "grade: number\n"
        "cluster: {local: true}\n"
    )
    return path


def carried_out(config: Path, folder: Path, *changes: str) -> list[Progress]:
    seen: list[Progress] = []
    records = carry_out(make_plan(load_config(config, changes)), folder, seen.append)
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    return seen


def test_questions_get_as_many_samples_as_they_need(config: Path, tmp_path: Path) -> None:
    carried_out(config, tmp_path / "run")
    counts = [len(samples) for _, samples in RunReader(tmp_path / "run").samples()]
    assert len(counts) == 20
    assert min(counts) < 10
    assert sum(counts) < 20 * 32 / 2
    assert len(set(counts)) > 1
    assert compare(tmp_path / "run", "vote").rows[0].accuracy > 0.9


def test_the_same_command_again_wants_no_engine(config: Path, tmp_path: Path) -> None:
    carried_out(config, tmp_path / "run")
    assert carried_out(config, tmp_path / "run") == []


def test_a_stricter_rule_draws_more_of_what_is_there(config: Path, tmp_path: Path) -> None:
    carried_out(config, tmp_path / "run")
    before = dict(RunReader(tmp_path / "run").samples())
    carried_out(config, tmp_path / "run", "strategy.rule=beta(confidence=0.999)")
    after = dict(RunReader(tmp_path / "run").samples())
    for query_id, samples in before.items():
        texts = {sample.id: sample.text for sample in after[query_id]}
        finished = [sample for sample in samples if sample.status == "ok"]
        assert all(texts[sample.id] == sample.text for sample in finished)
    assert sum(map(len, after.values())) > sum(map(len, before.values()))


def test_a_fixed_number_uses_what_an_adaptive_run_has_drawn(config: Path, tmp_path: Path) -> None:
    seen = carried_out(config, tmp_path / "run")
    drawn = seen[-1].samples_drawn
    seen = carried_out(config, tmp_path / "run", "strategy.rule=null")
    assert seen[-1].samples_drawn <= 20 * 32 - drawn + 40  # cancelled ones are drawn again
    assert all(len(samples) == 32 for _, samples in RunReader(tmp_path / "run").samples())


def test_the_rule_is_checked_before_anything_starts(config: Path) -> None:
    plan = make_plan(load_config(config))
    assert isinstance(plan.strategy, Adaptive)
    assert (plan.strategy.max_n, plan.strategy.ahead) == (32, 2)
    assert plan.strategy.rule == VoteStands()
    changed = make_plan(load_config(config, ["strategy.rule=beta(confidence=0.9)"]))
    assert isinstance(changed.strategy, Adaptive)
    assert changed.strategy.rule == BetaStop(confidence=0.9)
    with pytest.raises(InputError, match="no stop rule named 'vote'"):
        load_config(config, ["strategy.rule=vote"])
    with pytest.raises(InputError, match=r"confidence must lie in \(0.5, 1\), got 0.1"):
        load_config(config, ["strategy.rule=beta(confidence=0.1)"])
    with pytest.raises(InputError, match="reward_engines must be 1 when local is true, got 2"):
        load_config(config, ["cluster.reward_engines=2"])


def test_a_rule_of_scores_is_a_rule_too(config: Path, tmp_path: Path) -> None:
    changes = ("strategy.rule=reservation(cost=2)", "select=shortest")
    carried_out(config, tmp_path / "run", *changes)
    counts = [len(samples) for _, samples in RunReader(tmp_path / "run").samples()]
    assert 4 <= min(counts) <= max(counts) < 32
    assert carried_out(config, tmp_path / "run", *changes) == []


def test_rules_of_scores_can_ask_a_model(config: Path, tmp_path: Path) -> None:
    """The model rates each sample when it is there, so that the rule knows when to stop."""
    changes = ("strategy.rule=reservation(cost=0.3)", 'select=["reward(model=fake)"]')
    carried_out(config, tmp_path / "run", *changes)
    counts = [len(s) for key, s in RunReader(tmp_path / "run").samples() if "#" not in key]
    assert min(counts) < 32
    assert carried_out(config, tmp_path / "run", *changes) == []


def test_a_race_is_a_strategy_too(config: Path, tmp_path: Path) -> None:
    """The first sample whose answer has two digits wins."""
    changes = ("strategy.rule=null", 'strategy.race=regex(pattern="[0-9]{2}")', "strategy.n=8")
    run = tmp_path / "run"
    carried_out(config, run, *changes, 'select=["first"]')
    records = RunReader(run).records()
    assert len(records) == 20
    assert all(len(record.answer or "") == 2 for record in records)
    assert carried_out(config, run, *changes, 'select=["first"]') == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("strategy.race=json",), "race must be left out where there is a rule, got 'json'"),
        (
            ("strategy.rule=null", "strategy.race=json", "strategy.min_confidence=0.5"),
            "race must be left out with min_confidence, got 'json'",
        ),
        (("strategy.rule=null", "strategy.race=jsn"), "did you mean 'json'"),
    ],
)
def test_what_a_race_does_not_go_with_is_said(
    config: Path, changes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_config(config, changes)


def samples_of(folder: Path) -> list[int]:
    return [len(samples) for _, samples in RunReader(folder).samples()]


BUDGET = ("strategy={n: 32, budget: {average: 6}}",)


def test_a_budget_is_shared_by_all_questions_of_a_run(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seen = carried_out(config, folder, *BUDGET, "model.weights=[5, 4, 1]")
    assert sum(samples_of(folder)) == 20 * 6 == seen[-1].samples_drawn
    assert len(set(samples_of(folder))) > 1
    assert carried_out(config, folder, *BUDGET, "model.weights=[5, 4, 1]") == []


def test_a_larger_budget_goes_on_with_what_was_drawn(config: Path, tmp_path: Path) -> None:
    carried_out(config, tmp_path / "run", *BUDGET)
    seen = carried_out(config, tmp_path / "run", "strategy={n: 32, budget: {average: 9}}")
    assert seen[-1].samples_drawn == 20 * 3


def test_a_budget_of_which_only_the_records_are_lost_wants_no_engine(
    config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    carried_out(config, folder, *BUDGET)
    before = {r.query_id: (r.answer, r.usage.samples) for r in RunReader(folder).records()}
    shutil.rmtree(folder / "records")
    assert carried_out(config, folder, *BUDGET) == []
    assert {r.query_id: (r.answer, r.usage.samples) for r in RunReader(folder).records()} == before


def test_a_budget_that_lost_one_record_decides_for_all_again(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    carried_out(config, folder, *BUDGET)
    plan = make_plan(load_config(config, BUDGET))
    [part] = (folder / "records").glob("*.parquet")
    records = [r for r in RunReader(folder).records() if r.query_id != plan.prompts.queries[3].id]
    part.unlink()
    PartWriter(RunFolder(folder), ()).commit("records", records_table(records))
    carried_out(config, folder, *BUDGET)
    assert sum(samples_of(folder)) == 20 * 6  # no second budget for the one


def test_tokens_that_do_not_reach_leave_questions_out_of_budget(
    config: Path, tmp_path: Path
) -> None:
    changes = ("strategy={n: 32, budget: {tokens: 12, round_size: 4}}",)
    plan = make_plan(load_config(config, changes))
    records = carry_out(plan, tmp_path / "run", lambda progress: None)
    ends = Counter(record.outcome for record in records)
    assert ends.keys() == {Outcome.ANSWERED, Outcome.OUT_OF_BUDGET}
    assert ends.total() == 20
    assert failures(records) == []
    again = carry_out(plan, tmp_path / "run", lambda progress: None)
    assert Counter(record.outcome for record in again) == ends


DEEP_CONF = (
    "strategy={n: 32, deep_conf: {warm_up: 4, window: 2, k: 4, keep: 0.5}}",
    'select=weighted_vote(by=confidence(measure="bottom", window=2, k=4))',
)


def test_deep_conf_in_a_config_stops_when_the_confident_agree(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    carried_out(config, folder, *DEEP_CONF)
    assert {4, 32} <= set(samples_of(folder))  # some agree after the warm-up, some never
    assert carried_out(config, folder, *DEEP_CONF) == []
    shutil.rmtree(folder / "records")
    assert carried_out(config, folder, *DEEP_CONF) == []


def test_what_deep_conf_has_ended_is_no_pool_for_others(config: Path, tmp_path: Path) -> None:
    carried_out(config, tmp_path / "run", *DEEP_CONF)
    plan = make_plan(load_config(config, ["strategy={n: 8}", *DEEP_CONF[1:]]))
    with pytest.raises(RunChanged, match="deep_conf"):
        carry_out(plan, tmp_path / "run", lambda progress: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("strategy.budget={average: 8}",), "budget must be left out where there is a rule, got"),
        (("strategy={budget: {average: 2}}",), r"average must lie in 3..16, from first_n to max_n"),
        (("strategy={budget: {averge: 8}}",), "strategy.budget.averge: no such key"),
        (("strategy={budget: {}}",), "budget must set exactly one of average, tokens"),
        (("strategy={n: 8, deep_conf: {}}",), r"warm_up must lie in 1..8"),
        (
            ("strategy={budget: {average: 8}}", "cluster={workers: 2}"),
            r"^--set cluster=.*: cluster.workers must be 1 with strategy.budget",
        ),
    ],
)
def test_strategies_that_make_no_sense_are_said(
    config: Path, changes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_config(config, changes)
