"""Searches from a config: run, resumed, chosen from again, replayed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nbest.experiments.analysis.bias_notes import stopping_notes
from nbest.experiments.analysis.replay.replay import replay
from nbest.experiments.analysis.replay.trees import replay_tree
from nbest.experiments.analysis.select import compare
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.chains import tree_of
from nbest.experiments.runs.execute import carry_out
from nbest.experiments.runs.plan import make_plan
from nbest.experiments.training.examples import tree_examples
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.run.progress import Progress
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.strategies.search.levels import Beam
from nbest.orchestrator.strategies.search.search import Search
from nbest.orchestrator.types import Record, Status

BEAM = "strategy.search=beam"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lines = [{"question": f"Chain {i}?", "answer": "1"} for i in range(6)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "config.yaml"
    path.write_text(
        f"name: searched\n"
        f"dataset: {{kind: jsonl, path: {data}}}\n"
        "prompt: {template: '{question}'}\n"
        "model: {backend: chains_fake, depth: 5, p: 0.7, gap: 2.0}\n"
        "sampling: {max_tokens: 64}\n"
        'strategy: {search: beam, n: 8, width: 4, step: {stop: "\\n"}, score: mean_logprob}\n'
        "select: [vote, score(name=search)]\n"
        "extract: last_number\n"
        "grade: number\n"
        "cluster: {local: true}\n"
    )
    return path


def carried_out(config: Path, folder: Path, *settings: str) -> tuple[list[Record], int]:
    """The records of a run, and how many samples were drawn for them now."""
    seen: list[Progress] = []
    records = carry_out(make_plan(load_config(config, settings)), folder, seen.append)
    drawn = seen[-1].samples_drawn if seen else 0
    return sorted(records, key=lambda record: record.query_id), drawn


def refusal(config: Path, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        load_config(config, settings)
    return str(caught.value)


def test_a_run_is_a_search_over_steps(config: Path, tmp_path: Path) -> None:
    records, drawn = carried_out(config, tmp_path / "run")
    assert drawn == sum(record.usage.samples for record in records) == 6 * 40
    assert all(record.usage.generated_tokens == 40 for record in records)
    assert all(0 < record.usage.pruned_tokens < 40 for record in records)
    stored = dict(RunReader(tmp_path / "run").samples())
    assert all("/t" in key for key in stored)
    assert sum(map(len, stored.values())) == 240


def test_the_same_again_draws_nothing(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first, _ = carried_out(config, run)
    again, drawn = carried_out(config, run)
    assert drawn == 0
    assert [(r.answer, r.usage) for r in again] == [(r.answer, r.usage) for r in first]


def test_another_tree_of_the_same_run_pays_for_what_is_missing(
    config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    carried_out(config, run)
    _, drawn = carried_out(config, run, "strategy.search=rebase", "strategy.width=null")
    assert 0 < drawn <= 6 * 32  # the first level is there
    _, drawn = carried_out(config, run)
    assert drawn == 0


def test_what_is_read_of_a_run_are_its_chains(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    records, _ = carried_out(config, run)
    cases = load_cases(run)
    assert [len(case.candidates) for case in cases] == [8] * 6
    for case, record in zip(cases, records, strict=True):
        assert case.tokens == record.usage.generated_tokens
        assert [s.id for s in case.candidates.samples] == [
            f"{case.query.id}/s{i}" for i in range(8)
        ]
        assert all(s.text.count("\n") == 4 for s in case.candidates.samples)
        assert "search" in case.candidates.scores


def test_any_selector_chooses_from_the_chains_again(config: Path, tmp_path: Path) -> None:
    """Its table has the answers of the run, and each step once on the bill."""
    run = tmp_path / "run"
    records, _ = carried_out(config, run)
    rows = compare(run, "vote,score(name=search),mean_logprob").rows
    assert [choice.answer for choice in rows[0].choices] == [record.answer for record in records]
    assert [choice.answer for choice in rows[1].choices] == [
        choice.answer for choice in rows[2].choices
    ]
    assert rows[0].tokens == sum(record.usage.generated_tokens for record in records)


def test_a_scorer_of_steps_wins_what_it_knows(config: Path, tmp_path: Path) -> None:
    """Chains that are pruned by what the model is unsure of are right more often."""
    wide = ("strategy.n=16", "select=[score(name=search)]")
    shares = {}
    for gap in ("0.0", "8.0"):
        records, _ = carried_out(config, tmp_path / gap, *wide, f"model.gap={gap}")
        shares[gap] = sum(record.answer == "1" for record in records) / 6
    assert shares["8.0"] == 1.0
    assert shares["0.0"] < 1.0


def test_a_replay_is_the_run_itself(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    records, _ = carried_out(config, run)
    replayed = replay_tree(run, "beam(width=4)")
    assert (replayed.questions, replayed.complete, replayed.missing) == (6, 6, 0)
    assert (replayed.chains, replayed.tokens, replayed.answered) == (8.0, 40.0, 1.0)
    right = sum(record.answer == "1" for record in records) / 6
    assert replayed.accuracy == right


def test_a_replay_says_what_is_missing_and_guesses_nothing(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    carried_out(config, run)
    wider = replay_tree(run, "beam(n=16, width=4)")
    assert (wider.complete, wider.accuracy == wider.accuracy) == (0, False)
    assert wider.missing >= 6
    assert "were never drawn: those questions are left out" in "\n".join(wider.sentences())
    assert json.dumps(wider.as_json(), allow_nan=False)
    carried_out(config, run, "strategy.n=16")
    assert replay_tree(run, "beam(n=16, width=4)").complete == 6


def test_chains_are_no_pool_to_replay_samples_on(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    carried_out(config, run)
    with pytest.raises(InputError, match="run must hold independent samples"):
        replay(run, "adaptive", max_n=4, shuffles=10)


def test_the_seed_of_the_run_is_that_of_its_search(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    strategy = load_config(config, ["seed=5"]).build_strategy()
    assert isinstance(strategy, Search)
    assert strategy.seed == 5
    carried_out(config, run, "seed=5")
    drawn_by = tree_of(RunReader(run))
    assert drawn_by is not None
    assert drawn_by.seed == 5


@pytest.mark.parametrize(
    ("strategy", "counts"),
    [
        ("{n: 3, revise: {rounds: 2}}", (9, 9)),
        ("{n: 2, revise: {rounds: 2, critique: true}}", (6, 10)),
        ("{n: 8, revise: {plan: adaptive_branching, score: mean_logprob}}", (8, 8)),
        ("{n: 4, revise: {plan: beam(width=2), score: mean_logprob, rounds: 1}}", (8, 8)),
        ("{n: 4, synthesis: {k: 2, rounds: 2}}", (4, 12)),
        ("{n: 3, budget_forcing: {end: 7, budget: 9}}", (3, 3)),
    ],
)
def test_answers_made_of_answers_are_a_run_like_others(
    strategy: str, counts: tuple[int, int], config: Path, tmp_path: Path
) -> None:
    """Drawn, stored, found again, chosen from again, and each node once on the bill."""
    run = tmp_path / "run"
    settings = (f"strategy={strategy}", "select=[vote]", "model={backend: fake}")
    records, drawn = carried_out(config, run, *settings)
    samples, nodes = counts
    assert drawn == 6 * nodes
    assert carried_out(config, run, *settings)[1] == 0
    cases = load_cases(run)
    assert [len(case.candidates) for case in cases] == [samples] * 6
    assert [case.tokens for case in cases] == [r.usage.generated_tokens for r in records]
    (row,) = compare(run, "vote").rows
    assert [choice.answer for choice in row.choices] == [record.answer for record in records]


def test_steps_are_examples_by_what_is_right_below_them(config: Path, tmp_path: Path) -> None:
    """Of a step there is an example for each chain through it, so the mean is its share."""
    run = tmp_path / "run"
    carried_out(config, run)
    examples = tree_examples([run])
    cases = load_cases(run)
    assert len(examples) == sum(5 * len(case.candidates) for case in cases)
    whole = [example for example in examples if "answer" in example.response]
    assert len(whole) == sum(len(case.candidates) for case in cases)
    assert all(example.is_right == example.response.endswith("answer 1") for example in whole)
    first = examples[0]
    same = [e for e in examples if e.question == first.question]
    below = [e for e in same if e in whole and e.response.startswith(first.response)]
    of_first = [e for e in same if e.response == first.response]
    assert sorted(e.is_right for e in of_first) == sorted(e.is_right for e in below)


def test_whole_answers_are_no_tree(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    carried_out(config, run, "strategy={n: 2}", "select=[vote]")
    with pytest.raises(InputError, match="runs must hold graded chains of a search"):
        tree_examples([run])


JITTER = "model={backend: chains_fake, depth: 5, p: 0.7, gap: 2.0, token_s: 0.001}"


@pytest.mark.parametrize(
    "strategy",
    [
        "{search: best_first(ahead=3), n: 2, width: 2, step: {stop: '\\n'}, score: mean_logprob}",
        "{search: uct(ahead=4), n: 2, width: 3, step: {stop: '\\n'}, score: mean_logprob}",
        "{n: 2, revise: {plan: 'best_first(width=2, ahead=3)', score: mean_logprob, rounds: 2}}",
    ],
)
def test_what_was_aborted_is_not_missed(strategy: str, config: Path, tmp_path: Path) -> None:
    """A node that no plan was told of is not there, and is not wanted."""
    run = tmp_path / "run"
    settings = (f"strategy={strategy}", "select=[vote]", JITTER)
    records, _ = carried_out(config, run, *settings)
    assert carried_out(config, run, *settings)[1] == 0
    (row,) = compare(run, "vote").rows
    assert [choice.answer for choice in row.choices] == [record.answer for record in records]


@pytest.mark.parametrize("strategy", ["{n: 3, revise: {rounds: 1}}", "{n: 3, synthesis: {k: 2}}"])
def test_a_first_answer_that_failed_is_one_of_the_samples(
    strategy: str, config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    model = 'model={backend: faulty_fake, fail_on: "2?"}'  # at one question of six
    records, _ = carried_out(config, run, f"strategy={strategy}", "select=[vote]", model)
    assert sum(record.answer is None for record in records) == 1
    cases = load_cases(run)
    assert len(cases) == 6
    (failed,) = [case for case in cases if case.query.id == records[2].query_id]
    assert {sample.status for sample in failed.candidates.samples} == {Status.ERROR}


def test_a_judge_of_revisions_is_asked_once_of_each_answer(config: Path, tmp_path: Path) -> None:
    """Answers that say the same come at the same time, and so do the calls about them."""
    revise = "{n: 4, revise: {rounds: 1, plan: beam(width=2), score: judge}}"
    model = "model={backend: fake, token_s: 0.003}"
    settings = (f"strategy={revise}", "select=[vote]", model)
    records, _ = carried_out(config, tmp_path / "run", *settings)
    assert [record.error for record in records] == [""] * 6


def test_only_a_searched_run_can_be_replayed_by_a_search(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    whole = ["search", "width", "step", "score"]
    carried_out(config, run, *(f"strategy.{key}=null" for key in whole), "select=[vote]")
    with pytest.raises(InputError, match="run must hold the steps of a search"):
        replay_tree(run, "beam(width=4)")


def test_chains_depend_on_each_other_and_that_is_said(config: Path) -> None:
    (note,) = stopping_notes(load_config(config).model_dump(mode="json"))
    assert "of a tree (strategy.search)" in note


@pytest.mark.parametrize(
    ("settings", "plan"),
    [
        ((BEAM,), "Beam(n=8, width=4)"),
        (("strategy.search=dvts(width=2)", "strategy.width=null"), "DVTS(n=8, width=2)"),
        (
            ("strategy.search=rebase(temperature=0.1)", "strategy.width=null"),
            "Rebase(n=8, temperature=0.1)",
        ),
        (
            ('strategy.search=particle_filter(target="log")', "strategy.width=null"),
            "ParticleFilter(n=8, target='log', resample='systematic', threshold=0.5, anneal=None)",
        ),
        (
            ("strategy.search=best_first(ahead=2)",),
            "BestFirst(n=8, width=4, max_nodes=256, ahead=2)",
        ),
        (("strategy.search=uct(c=0.5)",), "UCT(n=8, width=4, c=0.5, max_nodes=256, ahead=1)"),
    ],
)
def test_every_search_has_a_name(config: Path, settings: Sequence[str], plan: str) -> None:
    strategy = load_config(config, settings).build_strategy()
    assert isinstance(strategy, Search)
    assert repr(strategy.plan) == plan


def test_every_key_of_a_search_is_its_own_setting(config: Path) -> None:
    more = ("strategy.max_steps=7", "strategy.lookahead=1", "strategy.step.max_tokens=9")
    strategy = load_config(config, more).build_strategy()
    assert isinstance(strategy, Search)
    assert (strategy.max_steps, strategy.lookahead) == (7, 1)
    assert (strategy.step.stop, strategy.step.max_tokens) == (("\n",), 9)
    assert (strategy.plan, strategy.n) == (Beam(n=8, width=4), 8)
    assert strategy.sampling().logprobs == 0  # for the scorer of steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("strategy.search=beem",), "no search named 'beem'; did you mean 'beam'?"),
        (("strategy.score=null",), "strategy.score must be given with a search"),
        (("strategy.score=vote",), "strategy.score must rate each answer by itself"),
        (("strategy.search=beam(width=2)",), "strategy.search must leave width to strategy.width"),
        (("strategy.search=beam(n=2)",), "strategy.search must leave n to strategy.n"),
        (("strategy.search=null",), "strategy.width must be left out without a search"),
        (("strategy.width=9",), "beam: n must be at least the width 9, got 8"),
        (("strategy.step.stop=[]",), "step.stop must be given, or stop_token_ids"),
        (
            ("strategy={n: 4, revise: {plan: beam}}",),
            "strategy.revise.plan must come with a score, and a score with a plan, got 'beam'",
        ),
        (
            ("strategy={n: 4, revise: {plan: beam, score: vote}}",),
            "strategy.revise.score must rate each answer by itself",
        ),
        (
            ("strategy={n: 2, synthesis: {k: 3}}",),
            "strategy.synthesis.k must lie in 1..2",
        ),
        (
            ("strategy={n: 2, synthesis: {k: 2}, revise: {}}",),
            "strategy.synthesis must be left out where there is a revise",
        ),
        (
            ("strategy.ahead=9",),
            "strategy.ahead must stand in the plan of a search",
        ),
        (
            ("strategy.search=particle_filter", "strategy.width=null"),
            "strategy.score must give chances in [0, 1] for the target ratio, or the target be log",
        ),
        (("sampling.min_tokens=3",), "sampling.min_tokens must be left out with a search"),
        (
            ("sampling.constraint={choice: [a, b]}",),
            "constraint must be left out with a search: each step would begin anew",
        ),
        (("sampling.presence_penalty=1.0",), "presence_penalty must be left out with a search"),
        (("strategy.rule=margin",), "strategy.search must be left out where there is a rule"),
        (
            ("arms=[{name: a}, {name: b, temperature: 0.2}]",),
            "strategy.search must be left out with arms",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(config: Path, settings: Sequence[str], message: str) -> None:
    assert message in refusal(config, *settings)
