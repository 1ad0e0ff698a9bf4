"""Runs that choose by a reward model: scored once, chosen from again without it, on the bill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbest.experiments.analysis.select import compare
from nbest.experiments.cli.display.tables import selector_table
from nbest.experiments.cli.run_summary import print_comparison
from nbest.experiments.config.config import load_config
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.runs.stored_calls import (
    NotAsked,
    StoredCalls,
    asks_model,
    asks_sampling_model,
)
from nbest.model_backend.reward.torch_settings import TorchReward
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.model_calls import model_key_by_path, rating_key
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Outcome, Sample, model_key

REWARD = "reward(model=fake)"
VOTE = "weighted_vote(by=reward(model=fake))"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lines = [{"question": f"what is {i}?", "answer": "42"} for i in range(5)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "config.yaml"
    path.write_text(
        f"name: rated\n"
        f"dataset: {{kind: jsonl, path: {data}}}\n"
        "prompt: {template: '{question}'}\n"
        "model: {backend: fake}\n"
        "strategy: {n: 12}\n"
        "extract: last_number\n"
        "grade: number\n"
        "cluster: {local: true}\n"
    )
    return path


def carried_out(config: Path, folder: Path, *select: str) -> list[Progress]:
    seen: list[Progress] = []
    plan = make_plan(load_config(config, [f"select={json.dumps(list(select))}"]))
    records = carry_out(plan, folder, seen.append)
    assert {record.outcome for record in records} == {Outcome.ANSWERED}
    return seen


def test_a_run_that_was_scored_is_chosen_from_again_without_the_model(
    config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    seen = carried_out(config, run, REWARD, VOTE, "vote")
    assert [engine.name for engine in seen[-1].engines] == ["engine0", "reward0"]
    rows = compare(run, f"{REWARD},{VOTE},vote").rows
    assert all(row.failed == 0 and row.n_queries == 5 for row in rows)
    assert rows[0].scorer_tokens > 0
    assert rows[2].scorer_tokens == 0
    assert rows[0].tokens == rows[2].tokens  # a reward model generates nothing


def test_a_reward_model_that_comes_later_scores_what_is_there(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    carried_out(config, run, "vote")
    with pytest.raises(NotAsked, match=r"the model has not rated .* `nbest run`"):
        compare(run, REWARD)
    seen = carried_out(config, run, REWARD)
    assert [engine.name for engine in seen[-1].engines] == ["reward0"]  # nothing else is needed
    assert seen[-1].samples_drawn == 5 * 3  # three different texts a question
    assert compare(run, REWARD).rows[0].n_queries == 5


def test_what_is_scored_wants_no_engine_at_all(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    carried_out(config, run, REWARD)
    assert carried_out(config, run, VOTE) == []


def test_the_table_has_the_bill_of_the_verifier(config: Path, tmp_path: Path) -> None:
    carried_out(config, tmp_path / "run", REWARD)
    compared = compare(tmp_path / "run", f"{REWARD},vote")
    table = selector_table(compared.rows, compared.baselines)
    titles = [str(column.header) for column in table.columns]
    assert titles[-2:] == ["scorer tokens", "scorer s"]
    plain = selector_table(compare(tmp_path / "run", "vote").rows)
    assert "scorer tokens" not in [str(column.header) for column in plain.columns]


def test_only_the_first_selector_brings_a_model(config: Path) -> None:
    with pytest.raises(InputError, match="name a selector that asks a model first"):
        make_plan(load_config(config, [f"select={json.dumps(['vote', REWARD])}"]))
    both = make_plan(load_config(config, [f"select={json.dumps([REWARD, VOTE])}"]))
    assert repr(both.strategy.select) == repr(build_scorer(REWARD))
    assert asks_model(build_scorer(VOTE))
    assert not asks_sampling_model(build_scorer(VOTE))


def test_a_model_is_named_plainly_or_with_settings() -> None:
    plain = build_scorer('reward(model="runs/verifier")')
    named = build_scorer('reward(model=vllm(model="runs/verifier"))')
    assert plain == named
    assert "TorchReward(" in repr(build_scorer('reward(model=torch(model="runs/verifier"))'))
    steps = build_scorer('reward(model=vllm(model="a/b", steps={"tag": "<x>"}), aggregate="min")')
    assert "Steps(tag='<x>'" in repr(steps)
    for text, message in {
        "reward": "reward: model must be given, got nothing",
        "reward(model=3)": "reward: model must name a reward model, got 3",
        "reward(model=nope(x=1))": "no reward model named 'nope'",
    }.items():
        with pytest.raises(InputError, match=message):
            build_scorer(text)


def test_ratings_are_found_by_what_rated_however_its_path_is_spelt(tmp_path: Path) -> None:
    model, query, texts = tmp_path / "verifier", "q0", ("7", "8")
    model.mkdir()
    (model / "config.json").write_text("{}")
    moved = tmp_path / "moved"
    here = TorchReward(str(model)).identity
    stored = {rating_key(query, model_key(here), text): rating(text) for text in texts}
    calls = StoredCalls(query_id=query, find=stored.get)
    spelt = [str(model), f"{tmp_path}/./verifier", f"{tmp_path}/x/../verifier"]
    (tmp_path / "x").mkdir()
    for name in spelt:
        found = wait_for(calls.rate(TorchReward(name).identity, texts))
        assert [sample.text for sample in found] == ["[7]", "[8]"]
    model.rename(moved)
    assert len(wait_for(calls.rate(TorchReward(str(moved)).identity, texts))) == 2
    with pytest.raises(NotAsked, match=r"if it has, put its folder back at .*verifier'"):
        wait_for(calls.rate(TorchReward(str(model)).identity, texts))
    (moved / "config.json").write_text("{1}")  # another model in the same place
    with pytest.raises(NotAsked, match="has not rated"):
        wait_for(calls.rate(TorchReward(str(moved)).identity, texts))


def test_ratings_of_earlier_versions_are_found_by_the_path(tmp_path: Path) -> None:
    identity = {"model": "verifiers/a", "digest": "0123", "runner": "torch"}
    stored = {rating_key("q0", model_key_by_path(identity), "7"): rating("7")}
    calls = StoredCalls(query_id="q0", find=stored.get)
    assert len(wait_for(calls.rate(identity, ("7",)))) == 1


def rating(text: str) -> Sample:
    return Sample(id=f"r/q0/reward/{text}", text=f"[{text}]")


def test_a_selector_that_never_chooses_is_told(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out(config, tmp_path / "run", "vote")
    print_comparison(compare(tmp_path / "run", "vote", min_confidence=1.0), as_json=False)
    line = "vote abstained from all 5 questions: none of its scores could be read, or too few"
    assert line in capsys.readouterr().err
    print_comparison(compare(tmp_path / "run", "vote"), as_json=False)
    assert "abstained from all" not in capsys.readouterr().err
