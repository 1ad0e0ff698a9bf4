"""The study of searches: its sums, its ratings, and the whole of it on a fake model."""

from __future__ import annotations

import asyncio
import re

import numpy as np
import pytest

from nbest.experiments.studies.search_against_sampling.__main__ import main
from nbest.experiments.studies.search_against_sampling.scores import (
    Oracle,
    Rated,
    Recorded,
    quality_of,
)
from nbest.experiments.studies.search_against_sampling.sums import (
    gold_of,
    is_right_so_far,
    questions_of,
)
from nbest.orchestrator.types import Candidates, Query, Sample, Selection

SUM = Query(id="q", prompt="?", meta={"terms": (5, 8, 2)})
RIGHT, WRONG = "5 + 8 = 13\n13 + 2 = 15\nAnswer: 15", "5 + 8 = 13\n13 + 2 = 16\nAnswer: 16"


def test_sums_are_checked_line_by_line() -> None:
    assert gold_of(SUM) == "15"
    assert is_right_so_far(SUM, RIGHT)
    assert is_right_so_far(SUM, "5 + 8  = 13\n")
    assert not is_right_so_far(SUM, WRONG)
    assert not is_right_so_far(SUM, f"{RIGHT}\nmore")
    first, *_ = questions_of(3, 4, seed=1, is_fake=False)
    again, *_ = questions_of(3, 4, seed=1, is_fake=False)
    assert again.meta == first.meta


def test_every_chain_counts_though_equal_steps_are_rated_once() -> None:
    recorded = Recorded(score=Oracle())
    texts = ("5 + 8 = 13\n", "5 + 8 = 13\n13 + 2 = 15\n", "5 + 8 = 13\n13 + 2 = 16\n", RIGHT, WRONG)
    samples = tuple(Sample(id=f"q/s{i}", text=text) for i, text in enumerate(texts))
    asyncio.run(recorded(SUM, Candidates(samples=samples, answers=(None,) * len(samples))))
    said = (RIGHT, RIGHT, RIGHT, WRONG)
    chains = tuple(Sample(id=f"q/s{i}", text=text) for i, text in enumerate(said))
    zeros = np.zeros(4)
    drawn = Selection(index=0, answer="15", samples=chains, scores=zeros, confidence=1.0)
    rated = recorded.of_chains([(SUM, drawn)])
    assert len(rated) == 12
    quality = quality_of(rated)
    # Of the steps after right ones: four first lines, four second ones, three answers.
    assert quality.p == pytest.approx(10 / 11)
    assert quality.b == 0.0
    assert quality.auroc_by_depth[1:] == (1.0, 1.0)


def test_quality_is_the_share_above_the_median() -> None:
    rated = [
        Rated(depth=1, score=score, is_right=is_right, was_right=True)
        for score, is_right in ((0.9, True), (0.8, True), (0.1, True), (0.7, False), (0.0, False))
    ]
    quality = quality_of([*rated, Rated(depth=2, score=1.0, is_right=False, was_right=False)])
    assert (quality.p, quality.a, quality.b) == (pytest.approx(0.6), pytest.approx(2 / 3), 0.0)
    assert quality.auroc_by_depth[0] == pytest.approx(5 / 6)


def test_the_study_on_a_fake_model(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--fake 0.6 --terms 4 --questions 60 --sizes 4 --scores oracle,shuffled"
    main(arguments.split())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("n=4")]
    found = {
        (match[1], match[2].strip()): (float(match[3]), float(match[4]))
        for line in lines
        if (match := re.match(r"n=4 +(\w+) +(.+?) +(\d\.\d+) \(.*\) +(\d+) tokens", line))
    }
    assert len(found) == len(lines) == 22
    one = found["oracle", "one sample"][0]
    for name in ("beam", "DVTS", "filter", "filter, ratio", "REBASE"):
        assert found["oracle", name][0] > found["oracle", "best of n"][0] > one
        assert found["oracle", name][1] <= 1.1 * found["oracle", "best of n"][1]
        # What knows nothing picks a chain as right as any: 60 answers, 4 standard errors.
        assert abs(found["shuffled", name][0] - 0.6**4) < 4 * (0.13 * 0.87 / 60) ** 0.5
