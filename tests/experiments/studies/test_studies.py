"""The studies: their arithmetic on small made-up results, without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nbest.experiments.analysis.curves.exact import Curve
from nbest.experiments.analysis.replay.figures import Replay
from nbest.experiments.analysis.replay.strategy import build_strategy
from nbest.experiments.studies.adaptive_rules import BUDGET, RULES, chosen, elsewhere, front, main
from nbest.experiments.studies.verifier_gain_report import Chosen, Findings, picture, table


def replay_result(accuracy: float, tokens: float) -> Replay:
    return Replay(
        accuracy=accuracy,
        low=0.0,
        high=1.0,
        answered=1.0,
        agreement=0.9,
        samples=8.0,
        tokens=tokens,
        tokens_fixed=100.0,
        saving=1 - tokens / 100,
        accuracy_fixed=0.8,
    )


BY_RULE = {
    "greedy": {"a": replay_result(0.70, 5), "b": replay_result(0.80, 5)},
    "good": {"a": replay_result(0.80, 20), "b": replay_result(0.80, 30)},
    "shy": {"a": replay_result(0.80, 60), "b": replay_result(0.80, 70)},
}


def test_the_front_is_over_all_pools_together() -> None:
    rows = front(BY_RULE, ["a", "b"])
    assert [row.rule for row in rows] == ["greedy", "good", "shy"]
    assert rows[0].lost == pytest.approx(0.05)
    assert rows[1].saving == pytest.approx(0.75)


def test_a_rule_that_costs_accuracy_is_not_chosen() -> None:
    assert chosen(front(BY_RULE, ["a", "b"])).rule == "good"
    assert chosen(front(BY_RULE, ["b"])).rule == "greedy"
    assert chosen(front({"only": BY_RULE["greedy"]}, ["a"])).rule == "only"
    with_budget = BY_RULE | {
        BUDGET + "good": {"a": replay_result(0.80, 1), "b": replay_result(0.80, 1)}
    }
    assert chosen(front(with_budget, ["a", "b"])).rule == "good"  # a budget is no rule


def test_what_was_chosen_on_one_half_is_tried_on_the_other() -> None:
    on_a, on_b = elsewhere(BY_RULE, ["a", "b"])
    assert on_a == "chosen on a: good; elsewhere +0.00 points, 70.0% saved"
    assert on_b == "chosen on b: greedy; elsewhere -10.00 points, 95.0% saved"


def test_every_rule_of_the_study_can_be_built() -> None:
    assert len({repr(build_strategy(f"adaptive(rule={rule})")) for rule in RULES}) == len(RULES)


def test_the_study_of_rules_runs_from_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    for name in ("one", "two"):
        lines = []
        for q in range(3):
            samples = [{"answer": str(rng.integers(1, 3)), "tokens": 5} for _ in range(10)]
            lines.append(json.dumps({"id": f"q{q}", "gold": "1", "samples": samples}))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    files = [str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl")]
    main([*files, "--max-n", "8", "--shuffles", "3"])
    output = capsys.readouterr().out
    assert "vote_stands(risk=0.1)" in output
    assert "chosen on one" in output


def findings() -> Findings:
    curve = Curve(name="vote", mean=(0.1, 0.2), low=(0.0, 0.1), high=(0.2, 0.3), n_queries=5)
    row = Chosen(
        select="reward",
        accuracy=0.4,
        low=0.3,
        high=0.5,
        gain=0.1,
        gain_low=0.02,
        gain_high=0.18,
        p_value=0.01,
    )
    return Findings(
        questions=5,
        samples=2,
        auroc=0.8,
        training={"train": {"examples": 9, "questions": 3}, "held_out": {"auroc": 0.7}},
        selectors=(row,),
        curves=(curve,),
        watch="no over-optimisation",
        watch_unlabelled="nor here",
    )


def test_the_study_of_verifiers_is_told_as_a_table_and_drawn(tmp_path: Path) -> None:
    text = table(findings())
    for part in ("5 questions x 2 samples", "0.800", "+0.100  +0.020 to +0.180", "nor here"):
        assert part in text
    picture(findings(), tmp_path / "curves.svg")
    assert "<svg" in (tmp_path / "curves.svg").read_text()
