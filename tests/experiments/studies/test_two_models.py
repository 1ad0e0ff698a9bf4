"""The study of two models: its arithmetic on a made-up pool, without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbest import StoredScore
from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.config.config import load_config
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.studies.two_models import CONFIG, Findings, as_document, findings, table
from nbest.model_backend.models.second_model import PARAMETERS as LARGE
from nbest.model_backend.models.small_model import PARAMETERS as SMALL

TOKENS = 10  # a sample
PROMPT = 30
# The answers of a question: four of the small model, two of the large one; "r" is right.
POOL = [("rrrx", "rr"), ("rxyz", "rr"), ("xxxr", "rr"), ("xyzw", "xr")] * 5


def line(number: int, small: str, large: str) -> dict[str, object]:
    samples = [
        {
            "answer": answer,
            "tokens": TOKENS,
            "prompt_tokens": PROMPT,
            "arm": arm,
            "scores": {"rated": 2.0 if answer == "r" else 1.0},
        }
        for arm, answers in (("small", small), ("large", large))
        for answer in answers
    ]
    return {"id": f"q{number}", "gold": "r", "samples": samples}


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    lines = [line(i, *answers) for i, answers in enumerate(POOL)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    import_pool([tmp_path / "p.jsonl"], tmp_path / "run")
    return graded_cases(load_cases(tmp_path / "run"))


@pytest.fixture
def results(cases: list[Case]) -> Findings:
    return findings(cases, StoredScore(name="rated"))


def test_each_way_is_worth_what_a_hand_counts(results: Findings) -> None:
    worths = {line.name: line.accuracy.mean for line in results.lines}
    assert worths == pytest.approx(
        {
            "one sample, small": (3 / 4 + 1 / 4 + 1 / 4 + 0) / 4,
            "one sample, large": (1 + 1 + 1 + 1 / 2) / 4,
            "vote of 4, small": 2 / 4,  # of equal votes the first answer wins
            "vote of 2, large": 3 / 4,
            "vote of all": 2 / 4,
            "vote of all, fitted weights": 3 / 4,
            "cascade, large where under 50% agree": 2 / 4,  # three wrong ones agree at the third
            "cascade, large where under 75% agree": 2 / 4,
            "cascade, large where under 100% agree": 3 / 4,
            "likeliest of 4 under large, small": 3 / 4,
        }
    )
    assert results.auroc.mean == 1.0
    assert results.weights.weights["large"] > results.weights.weights["small"]


def test_each_way_costs_what_a_hand_counts(results: Findings) -> None:
    costs = {line.name: line.cost for line in results.lines}
    share = SMALL / LARGE
    assert costs["one sample, large"] == 1.0
    assert costs["vote of 4, small"] == pytest.approx(4 * share)
    assert costs["vote of all"] == pytest.approx(4 * share + 2)
    # Half of the questions have three of four that agree.
    assert costs["cascade, large where under 75% agree"] == pytest.approx(4 * share + 2 / 2)
    assert costs["cascade, large where under 100% agree"] == pytest.approx(4 * share + 2)
    read = 4 * (PROMPT + TOKENS) / TOKENS
    assert costs["likeliest of 4 under large, small"] == pytest.approx(4 * share + read)


def test_the_results_are_a_table_and_a_document(results: Findings) -> None:
    document = json.loads(json.dumps(as_document(results)))
    assert (document["questions"], document["samples"]) == (20, {"small": 4, "large": 2})
    lines = table(results).splitlines()
    assert lines[0] == "20 questions, 4 of small, 2 of large each"
    assert sum(line.startswith("cascade") for line in lines) == 3


def test_the_config_has_both_models() -> None:
    config = load_config(CONFIG)
    panel = config.build_panel()
    assert panel is not None
    assert [arm.name for arm in panel.arms] == ["small", "large"]
    assert config.strategy.n % panel.round_size == 0
