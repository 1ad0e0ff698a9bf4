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
from nbest.experiments.analysis.table.rows import GradedChoice, Row
from nbest.experiments.cli.app import app
from nbest.experiments.config.objects import Objects
from nbest.experiments.config.strategy import StrategySection
from nbest.experiments.config.threshold import read_threshold
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.gold_file import write_gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.choice import Choice
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Query, Sample
from nbest.scorers.baselines import First
from nbest.scorers.estimators.risk_coverage import auroc_interval


def row(*answered: tuple[float, bool], abstained: int = 0, each: tuple[int, int] = (16, 16)) -> Row:
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
        samples_each=each,
        tokens=0,
        seconds=0.0,
        n_graded=total,
        choices=tuple(choices),
    )


def test_the_keys_of_a_graded_selector() -> None:
    document = abstention_json(row((0.9, True), (0.5, False), abstained=2))
    low, high = auroc_interval([0.9, 0.5], [True, False])
    assert document == {
        "aurc": pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4),  # two cannot be answered
        "auroc": 1.0,
        "auroc_low": low,
        "auroc_high": high,
        "risk_coverage": [
            {"threshold": 0.9, "coverage": 0.25, "risk": 0.0},
            {"threshold": 0.5, "coverage": 0.5, "risk": 0.5},
        ],
    }
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_without_grades_there_is_nothing_to_say() -> None:
    keys = ("aurc", "auroc", "auroc_low", "auroc_high", "risk_coverage")
    assert abstention_json(row()) == dict.fromkeys(keys)


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
    answered = [(0.95, True)] * 200
    many, limit = row(*answered), RiskLimit(max_risk=0.05)
    assert guarantee_sentence(many, limit) == (
        "vote: with --min-confidence 0.00@16 at most 5.0% of the answers are wrong, with 90%"
        " certainty on questions like these with 16 samples each"
        " (here 100% answered, 0.0% of them wrong)"
    )
    uneven = guarantee_sentence(row(*answered, each=(4, 16)), limit)
    assert "--min-confidence 0.00 at most" in uneven
    assert "like these with 4 to 16 samples each" in uneven
    half = guarantee_sentence(row(*answered, abstained=200), limit)
    assert "(here 50% answered, 0.0% of them wrong)" in half
    together = guarantee_sentence(many, limit, num_selectors=4)
    assert "with 90% certainty for all 4 selectors together on questions" in together
    few = guarantee_sentence(row((0.95, True)), RiskLimit(max_risk=0.05))
    assert few.startswith("vote: no threshold keeps the risk at 5.0% with 90% certainty (it takes")
    assert few.endswith("at least 72 graded answers, all right; here are 1, 1 of them right)")


def test_of_several_selectors_each_has_its_part_of_delta() -> None:
    answers = row(*[(0.95, True)] * 80)
    assert RiskLimit(max_risk=0.05).fitted(answers) is not None
    assert RiskLimit(max_risk=0.05).fitted(answers, num_selectors=8) is None
    guarantee = abstention_json(answers, RiskLimit(max_risk=0.05))["guarantee"]
    assert isinstance(guarantee, dict)
    assert guarantee["min_confidence"] == "0@16"


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


def test_a_threshold_is_used_with_as_many_samples_as_it_was_fitted_with(run: Path) -> None:
    assert "vote: 1 of 2 questions answered" in select(run, "--min-confidence", "0.7@5")
    result = CliRunner().invoke(
        app, ["select", str(run), "--select", "vote", "--min-confidence", "0.7@16"]
    )
    assert str(result.exception) == (
        "min_confidence 0.7@16 must be used with 16 samples a question, as it was fitted, "
        "question 'sure' has 5 that ended"
    )


@pytest.mark.parametrize("text", ["0.7@", "0.7@0", "@5", "a", "0.7@4.5", "-0.1"])
def test_a_threshold_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"min_confidence must be a share, as 0\.7, or 0\.7@16"):
        read_threshold(text)


@pytest.mark.parametrize("text", ["0.7", "0.7@16", "1@4", "0"])
def test_a_threshold_is_written_as_it_is_read(text: str) -> None:
    assert str(read_threshold(text)) == text


def test_a_config_asks_for_its_number_of_samples() -> None:
    strategy = StrategySection(n=16, min_confidence="0.7@16")
    assert strategy.build(Choice(select=First()), Objects()).min_confidence == 0.7  # type: ignore[union-attr]
    with pytest.raises(
        ValueError, match=r"with 16 samples a question, as it was fitted, strategy\.n has 8"
    ):
        StrategySection(n=8, min_confidence="0.7@16")
    with pytest.raises(ValueError, match="name no number of samples with rule"):
        StrategySection(n=16, rule="margin", min_confidence="0.7@16")


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
