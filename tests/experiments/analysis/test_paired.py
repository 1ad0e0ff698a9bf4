"""Sentences that compare selectors: corrected together, never surer than the questions allow."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from nbest.experiments.analysis.curves.of_run import curves_of
from nbest.experiments.analysis.paired import compared, paired_sentences, run_pairs, winner_note
from nbest.experiments.analysis.select import compare
from nbest.experiments.analysis.table.rows import GradedChoice, Row
from nbest.experiments.report.page import write_report
from nbest.experiments.runs.exchange.import_pool import import_pool
from nbest.scorers.estimators.paired import paired_difference


def row(name: str, *worths: float) -> Row:
    return Row(
        select=name,
        accuracy=float(np.nan_to_num(worths).mean()) if worths else math.nan,
        low=0.0,
        high=1.0,
        abstained=0,
        n_queries=len(worths),
        n_samples=len(worths),
        tokens=0,
        seconds=0.0,
        n_graded=len(worths),
        choices=tuple(GradedChoice(f"q{q}", "7", 1.0, worth) for q, worth in enumerate(worths)),
    )


VOTE = row("vote", *[0.0] * 10, *[1.0] * 20)
BETTER = row("rm", *[1.0] * 30)


def test_lines_of_a_table_are_corrected_together() -> None:
    (alone,) = paired_sentences([VOTE, BETTER])
    same = row("same", *[0.0] * 10, *[1.0] * 20)
    first, _, _ = paired_sentences([VOTE, BETTER, same, same])
    single = float(re.findall(r"p = ([0-9.e-]+)\)", alone)[0])
    triple, count = re.findall(r"p = ([0-9.e-]+) of (\d) comparisons\)", first)[0]
    assert (float(triple), count) == (pytest.approx(3 * single, rel=0.1), "3")
    gain = paired_difference(np.ones(30), np.array([0.0] * 10 + [1.0] * 20), 1 - 0.05 / 3)
    assert f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}, the same 30 questions" in first


def test_few_different_questions_have_counts_and_no_p_value() -> None:
    five = row("five", *[1.0] * 5, *[0.0] * 5, *[1.0] * 20)
    (sentence,) = paired_sentences([VOTE, five])
    assert sentence.endswith("right alone 5 to 0, too few for a p-value)")
    assert "p =" not in sentence
    (same,) = paired_sentences([VOTE, row("same", *[0.0] * 10, *[1.0] * 20)])
    assert "right alone 0 to 0" in same
    low, high = (float(x) for x in re.findall(r"\(([-+0-9.]+) to ([-+0-9.]+),", same)[0])
    assert low < -5 < 5 < high  # 30 questions that agree are no proof


def test_what_a_grader_cannot_say_makes_no_claim() -> None:
    unsure = row("unsure", *[math.nan] * 10, *[1.0] * 20)
    (sentence,) = paired_sentences([VOTE, unsure])
    assert sentence.startswith("unsure: +0.0 points over vote (")
    assert "the grader could not say of some" in sentence
    low, high = (float(x) for x in re.findall(r"\(([-+0-9.]+) to ([-+0-9.]+),", sentence)[0])
    assert low < 0 < 33.3 < high


def test_the_best_of_several_is_so_by_luck_too() -> None:
    rows = [VOTE, BETTER, row("other", *[0.0] * 30)]
    (note,) = winner_note(rows)
    assert note.startswith("rm is the best of 3 on these questions, partly by luck")
    assert winner_note(rows[:2]) == ()
    assert winner_note([row("a"), row("b"), row("c")]) == ()  # nothing is graded


def test_equal_selectors_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(9)
    claims = 0
    for _ in range(200):
        chances = rng.beta(4, 4, 40)
        rows = [row(f"s{i}", *(rng.random(40) < chances).astype(float)) for i in range(8)]
        ends = [re.findall(r"\(([-+0-9.]+) to ([-+0-9.]+),", s)[0] for s in paired_sentences(rows)]
        claims += any(float(low) > 0 or float(high) < 0 for low, high in ends)
    assert claims <= 18  # 10 are expected at the most; 19 or more has probability 0.005


def test_runs_are_paired_on_the_same_questions_alone() -> None:
    same = {f"q{q}": q >= 10 for q in range(30)}
    (line,) = compared(run_pairs("a", [VOTE], "b", [row("vote", *[1.0] * 30)], same))
    sentence = line.sentence()
    assert "the same 20 questions; right alone 0 to 0" in sentence


def pool(folder: Path, name: str, *questions: str, gold: str = "7") -> Path:
    samples = [{"text": "7"}, {"text": "8"}, {"text": "7"}]
    lines = [
        {"id": f"q{i}", "prompt": text, "gold": gold, "samples": samples}
        for i, text in enumerate(questions)
    ]
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    import_pool([file], folder / name)
    return folder / name


def test_a_report_leaves_out_questions_that_only_share_an_id(tmp_path: Path) -> None:
    words = ("one", "two", "three", "four", "five", "six")
    first = pool(tmp_path, "first", *words)
    other = pool(tmp_path, "other", *words[:3], "vier", "fünf", "sechs")
    page = write_report([first, other], tmp_path / "report.html", "vote").read_text()
    assert "other: 3 of 6 questions of the same id have other texts or gold answers" in page
    assert "the same 3 questions" in page
    regraded = pool(tmp_path, "regraded", *words, gold="8")
    page = write_report([first, regraded], tmp_path / "again.html", "vote").read_text()
    assert "regraded: 6 of 6 questions of the same id have other texts or gold answers" in page


def test_the_same_number_has_the_same_interval_everywhere(tmp_path: Path) -> None:
    run = pool(tmp_path, "run", *"abcdefgh")
    compared, curves = compare(run, "vote,shortest"), curves_of(run, "vote,shortest")
    one, any_right = compared.baselines
    for row_, curve in ((one, curves.baselines[0]), (any_right, curves.baselines[1])):
        assert (row_.accuracy, row_.low, row_.high) == (
            curve.mean[-1],
            curve.low[-1],
            curve.high[-1],
        )
    vote, at_all = compared.rows[0], curves.curves[0]
    assert (vote.accuracy, vote.low, vote.high) == (
        at_all.mean[-1],
        at_all.low[-1],
        at_all.high[-1],
    )
    assert vote.low < vote.high == 1.0
