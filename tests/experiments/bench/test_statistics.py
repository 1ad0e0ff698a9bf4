"""`nbest bench statistics`: its worlds by hand, and that a promise that is broken shows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from nbest.experiments.bench.statistics.promise import Promise, promises_table, share_of
from nbest.experiments.bench.statistics.replays import replay_promises
from nbest.experiments.bench.statistics.suite import measure_promises
from nbest.experiments.bench.statistics.worlds import BY_NAME, any_right, one_sample, vote
from nbest.experiments.cli.app import app
from nbest.orchestrator.errors import InputError
from nbest.scorers.estimators.pass_at_k import pass_at_k


@pytest.mark.parametrize("name", BY_NAME)
def test_the_truth_of_a_world_is_the_mean_of_many_questions(name: str) -> None:
    world, rng = BY_NAME[name], np.random.default_rng(0)
    counts = world.right_counts(rng, 8, 200_000)
    for table in (one_sample(8, 8), any_right(8, 4), vote(8, 8)):
        assert world.truth(table) == pytest.approx(float(table[counts].mean()), abs=0.005)
    assert world.truth(one_sample(8, 8)) == pytest.approx(world.a / (world.a + world.b))


def test_tables_of_worths_by_hand() -> None:
    assert any_right(4, 2).tolist() == pytest.approx([pass_at_k(4, c, 2) for c in range(5)])
    assert vote(4, 4).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert vote(4, 1).tolist() == pytest.approx([c / 4 for c in range(5)])


def test_a_promise_that_is_broken_shows() -> None:
    kept = share_of("a", "at least", 0.95, [True] * 95 + [False] * 5)
    broken = share_of("b", "at least", 0.95, [True] * 70 + [False] * 30)
    often = share_of("c", "at most", 0.05, [True] * 30 + [False] * 70)
    equal = Promise(name="d", nominal=0.5, observed=0.6, error=0.01, side="equal")
    assert [one.holds for one in (kept, broken, often, equal)] == [True, False, False, False]
    assert kept.as_json() == {
        "name": "a",
        "nominal": 0.95,
        "observed": 0.95,
        "error": pytest.approx(0.0218, abs=0.002),
        "side": "at least",
        "holds": True,
    }
    cells = [list(column.cells) for column in promises_table([kept, broken]).columns]
    assert cells[-1] == ["yes", "NO"]


def test_replays_say_what_live_runs_pay() -> None:
    promises = list(replay_promises(questions=24, shuffles=5, seed=2))
    assert [one.name.split()[0] for one in promises] == ["saving", "accuracy"] * 3
    assert all(one.holds for one in promises)
    savings = [one.observed for one in promises[::2]]
    assert savings[0] > savings[1] > savings[2]


def test_the_command_prints_one_document_of_many_rows() -> None:
    words = ["bench", "statistics", "--studies", "20", "--only", "intervals,tables", "--json"]
    result = CliRunner().invoke(app, words)
    document = json.loads(result.stdout)
    assert len(document["rows"]) >= 60
    for row in document["rows"]:
        assert row.keys() == {"name", "nominal", "observed", "error", "side", "holds"}
    assert result.exit_code == (0 if all(row["holds"] for row in document["rows"]) else 1)


def test_too_few_studies_are_refused() -> None:
    with pytest.raises(InputError, match="studies must be at least 20, got 5"):
        measure_promises(5)
    with pytest.raises(InputError, match=r"only must be some of intervals, tables, .* got 'x'"):
        measure_promises(20, only=["x"])
