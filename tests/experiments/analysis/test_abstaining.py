"""What `nbest select` says of abstention: keys, sentences, and the options of the command."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.analysis.abstaining import (
    MAX_POINTS,
    RiskLimit,
    abstention_json,
    answered_sentence,
    guarantee_sentence,
)
from nbest.experiments.analysis.rows import GradedChoice, Row
from nbest.experiments.cli.app import app
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.gold_file import write_gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Query, Sample


def row(*answered: tuple[float, bool], abstained: int = 0) -> Row:
    total = len(answered) + abstained
    choices = [GradedChoice("q", "7", value, float(is_right)) for value, is_right in answered]
    return Row(
        select="vote",
        accuracy=0.0,
        low=0.0,
        high=0.0,
        abstained=abstained,
        n_queries=total,
        n_samples=total,
        tokens=0,
        seconds=0.0,
        n_graded=total,
        choices=tuple(choices),
    )


def test_the_keys_of_a_graded_selector() -> None:
    document = abstention_json(row((0.9, True), (0.5, False), abstained=2))
    assert document == {
        "aurc": 0.25,
        "auroc": 1.0,
        "risk_coverage": [
            {"threshold": 0.9, "coverage": 0.25, "risk": 0.0},
            {"threshold": 0.5, "coverage": 0.5, "risk": 0.5},
        ],
    }
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_without_grades_there_is_nothing_to_say() -> None:
    assert abstention_json(row()) == {"aurc": None, "auroc": None, "risk_coverage": None}


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    document = abstention_json(row(*((i / 500, i % 3 > 0) for i in range(500))))
    curve = document["risk_coverage"]
    assert isinstance(curve, list)
    assert len(curve) == MAX_POINTS
    assert (curve[0]["coverage"], curve[-1]["coverage"]) == (1 / 500, 1.0)


def test_the_sentence_about_answers() -> None:
    sentence = answered_sentence(row((0.9, True), (0.5, False), abstained=2))
    assert sentence == "vote: 2 of 4 questions answered, 0.500 of the graded answers right"
    assert answered_sentence(row(abstained=3)) == "vote: 0 of 3 questions answered"


def test_the_sentence_about_a_guarantee() -> None:
    many = row(*[(0.95, True)] * 200)
    assert guarantee_sentence(many, RiskLimit(max_risk=0.05)) == (
        "vote: with --min-confidence 0.00 at most 5.0% of the answers are wrong, with 90%"
        " certainty, on questions like these (here 100% answered, 0.0% of them wrong)"
    )
    few = guarantee_sentence(row((0.95, True)), RiskLimit(max_risk=0.05))
    assert few.startswith("vote: no threshold keeps the risk at 5.0% with 90% certainty (it takes")
    assert few.endswith("at least 72 graded answers, all right; here are 1)")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return asyncio.run(graded_run(tmp_path))


async def graded_run(tmp_path: Path) -> Path:
    """Two questions: all five samples of one agree on 42, four of the other on 41."""
    queries = [Query(id=q, prompt="?") for q in ("sure", "unsure")]
    config = {"extract": "whole_text", "grade": "exact"}
    with open_run(tmp_path / "run", fingerprint={}, config=config, queries=queries):
        write_gold(tmp_path / "run", {q.id: Gold(answer="42") for q in queries})
        store = await FileStore.open(tmp_path / "run")
        for query, texts in (("sure", ["42"] * 5), ("unsure", ["41"] * 3 + ["42", "7"])):
            for i, text in enumerate(texts):
                store.add(query, i, Sample(id=f"t/{query}/s{i}", text=text))
        await store.aclose()
    return tmp_path / "run"


def select(run: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["select", str(run), "--select", "vote", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_abstains_below_a_confidence(run: Path) -> None:
    assert "answered" not in select(run)
    assert "vote: 1 of 2 questions answered, 1.000 of" in select(run, "--min-confidence", "0.7")
    (document,) = json.loads(select(run, "--min-confidence", "0.7", "--json"))["rows"]
    assert (document["abstained"], document["accuracy"], document["auroc"]) == (1, 0.5, None)


def test_the_command_fits_a_threshold_or_says_that_it_cannot(run: Path) -> None:
    assert "vote: no threshold keeps the risk at 10.0%" in select(run, "--max-risk", "0.1")
    (document,) = json.loads(select(run, "--max-risk", "0.1", "--json"))["rows"]
    assert document["guarantee"] is None


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--min-confidence", "1.5"], r"min_confidence must lie in \[0, 1\], got 1.5"),
        (["--min-confidence", "0.5", "--max-risk", "0.1"], "max_risk must be given without"),
        (["--max-risk", "2"], "max_risk must lie between 0 and 1, got 2.0"),
    ],
)
def test_wrong_options_are_refused(run: Path, options: list[str], rule: str) -> None:
    result = CliRunner().invoke(app, ["select", str(run), "--select", "vote", *options])
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=rule):
        raise result.exception
