"""`nbest bench search`: its parts, and what it says of an engine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from nbest import FakeBackend, Reply, Request
from nbest.experiments.bench.search.continuation import measured_continuation
from nbest.experiments.bench.search.engine_use import PLANS, Gauge
from nbest.experiments.cli.app import app


def printed(*words: str) -> dict[str, list[dict[str, float]]]:
    result = CliRunner().invoke(app, ["bench", "search", "--json", *words])
    assert result.exit_code == 0, result.output
    document: dict[str, list[dict[str, float]]] = json.loads(result.stdout)
    return document


def test_of_an_engine_it_says_what_every_search_costs() -> None:
    document = printed("--only", "engine", "--questions", "4", "--rounds", "1")
    assert document["tests"] == []
    assert [line["name"] for line in document["engine"]] == list(PLANS)
    for line in document["engine"]:
        assert 0.0 <= line["pruned"] < 1.0
        assert 0.0 <= line["idle"] < 1.0
        assert line["recomputed"] > line["recomputed_whole"] > 0.0
        assert line["slowdown"] > 0.0


def test_the_simulations_alone() -> None:
    document = printed("--only", "tests", "--runs", "60")
    assert document["engine"] == []
    assert {*document["tests"][0]} == {"name", "predicted", "simulated", "standard_errors"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "both"), "only must be tests or engine, got 'both'"),
        (("--runs", "1"), "runs must be at least 2, got 1"),
        (("--rounds", "0"), "rounds must be at least 1, got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["bench", "search", *words])
    assert message in f"{result.output} {result.exception}"


def test_a_gauge_adds_up_what_was_in_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.0, 13.0, 14.0])
    monkeypatch.setattr(
        "nbest.experiments.bench.search.engine_use.time.monotonic", lambda: next(times)
    )
    gauge = Gauge()
    for change in (1, 1, -1, -1):
        gauge.change(change)
    assert (gauge.wall_s, gauge.slot_s, gauge.in_flight) == (4.0, 1.0 + 2 * 2.0 + 1.0, 0)


async def test_steps_are_compared_with_whole_answers() -> None:
    """A model that counts goes on rightly; one that begins anew is found out."""

    def counting(request: Request) -> Reply:
        place = len(request.prefix or ())
        left = range(place, 64)
        texts = tuple(f" {i}" for i in left)
        return Reply(tokens=texts, token_ids=tuple(left), prompt_tokens=5 + place)

    def forgetful(request: Request) -> Reply:
        return replace(counting(replace(request, prefix=None)), prompt_tokens=5)

    found = {}
    for script in (counting, forgetful):
        async with FakeBackend(script=script).open() as engine:
            found[script.__name__] = await measured_continuation(engine, 2)
    assert found["counting"].as_json() == {"steps": 14, "read": 14, "answers": 2, "same": 2}
    assert found["forgetful"].as_json() == {"steps": 14, "read": 0, "answers": 2, "same": 0}
