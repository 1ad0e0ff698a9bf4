"""The studies of coverage and temperature: their arithmetic on made-up pools, without an engine."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.config.config import load_config
from nbest.experiments.config.plugins import build_scorer
from nbest.experiments.runs.case import Case
from nbest.experiments.runs.cases import load_cases
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.experiments.studies.coverage_growth import CONFIG as COVERAGE
from nbest.experiments.studies.coverage_growth import decades, growth, picture
from nbest.experiments.studies.coverage_growth import table as coverage_table
from nbest.experiments.studies.selectors_against_n import CONFIG as SELECTORS_CONFIG
from nbest.experiments.studies.selectors_against_n import SELECTORS
from nbest.experiments.studies.temperature import CONFIG as TEMPERATURE
from nbest.experiments.studies.temperature import findings, table
from nbest.orchestrator.errors import InputError


def pool(folder: Path, name: str, answers: Sequence[Sequence[str | None]]) -> list[Case]:
    """Questions whose right answer is "r"."""
    lines = [
        {"id": f"q{q}", "gold": "r", "samples": [{"answer": a} for a in texts]}
        for q, texts in enumerate(answers)
    ]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([folder / f"{name}.jsonl"], folder / name)
    return graded_cases(load_cases(folder / name))


def test_coverage_is_exact_and_the_laws_know_only_the_first_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    chances = rng.beta(0.6, 8, 40)
    drawn = [["r" if right else "x" for right in rng.random(400) < p] for p in chances]
    results = growth(pool(tmp_path, "pool", drawn))
    assert results.ks == (1, 3, 10, 30, 100, 300, 400)
    right = np.array([texts.count("r") for texts in drawn])
    assert list(results.right.values()) == right.tolist()
    by_hand = [1 - math.comb(400 - c, 30) / math.comb(400, 30) for c in right.tolist()]
    assert results.coverage[3] == pytest.approx(float(np.mean(by_hand)))
    law, whole = results.laws  # 1,000 are not there
    assert (law.m, whole.m) == (100, 400)
    assert law.beta_binomial[-1] == pytest.approx(results.coverage[-1], abs=0.1)
    assert law.low <= law.beta_binomial[-1] <= law.high
    assert "power 100" in coverage_table(results)
    picture(results, tmp_path / "coverage.svg")
    assert "<svg" in (tmp_path / "coverage.svg").read_text()


def test_without_a_right_answer_there_is_no_law(tmp_path: Path) -> None:
    results = growth(pool(tmp_path, "pool", [["x"] * 120, ["y"] * 120]))
    assert results.laws == ()
    assert set(results.coverage) == {0.0}
    with pytest.raises(InputError, match="samples must be at least 10 a question, got 3"):
        growth(pool(tmp_path, "small", [["r"] * 3]))


def test_decades() -> None:
    assert decades(100) == (1, 3, 10, 30, 100)
    assert decades(1000)[-2:] == (300, 1000)


def test_a_mixture_takes_equally_many_of_each_temperature(tmp_path: Path) -> None:
    cold = [["x"] * 15 + ["r"], ["r"] * 16]
    hot = [["r"] * 4 + ["y", None] * 6, ["x", "y", "z", None] * 4]
    pools = {"0.3": pool(tmp_path, "cold", cold), "1.2": pool(tmp_path, "hot", hot)}
    results = findings(pools)
    first, second, mixed = results.settings
    assert (first.name, second.name, mixed.name) == ("0.3", "1.2", "mixed")
    assert (first.distinct, first.entropy) == (
        1.5,
        pytest.approx(-(15 / 16 * math.log(15 / 16) + 1 / 16 * math.log(1 / 16)) / 2),
    )
    assert second.silent == pytest.approx((6 / 16 + 4 / 16) / 2)
    # Eight of each: nothing right in the first question only if both strata hold nothing right.
    missed = sum("r" not in [cold[0][i] for i in s] for s in combinations(range(16), 8)) / 12870
    missed *= sum("r" not in [hot[0][i] for i in s] for s in combinations(range(16), 8)) / 12870
    assert mixed.coverage == pytest.approx((1 - missed + 1) / 2)
    assert results.best == "0.3"
    assert "coverage, mixed over 0.3" in table(results)


def test_the_configs_of_the_studies_can_be_read() -> None:
    for file in (COVERAGE, TEMPERATURE, SELECTORS_CONFIG):
        assert load_config(file, []).name == file.stem
    needs = [build_scorer(name).needs_logprobs for name in SELECTORS]
    assert max(need or 0 for need in needs) == 20
