"""The grader of mathematics, and equivalence by name: in a config and on the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from nbest.experiments.analysis.select import compare
from nbest.experiments.config.plugins import build_equivalence, build_grader
from nbest.experiments.questions.gold import Gold
from nbest.experiments.runs.gold_file import write_gold
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.opening import open_run
from nbest.orchestrator.store.writer import FileStore
from nbest.orchestrator.types import Query, Sample


@pytest.mark.parametrize(
    ("answer", "gold", "verdict"),
    [
        (r"\frac{2}{4}", "1/2", 1.0),
        (r"2\sqrt{2}", r"\sqrt{8}", 1.0),
        ("(1,2)", r"\{1,2\}", 0.0),
        ("42", "142", 0.0),
        ("east", "East", 1.0),
        ("9^{9^{9^9}}", "9^{9^{9^9}} ", 1.0),  # nobody can read it, but it is the same text
        ("9^{9^{9^9}}", "9^{9^{9^8}}", 0.0),
    ],
)
def test_verdicts(answer: str, gold: str, verdict: float) -> None:
    pytest.importorskip("math_verify")
    assert build_grader("mathematics(timeout_s=1)")(answer, Gold(answer=gold)) == verdict


def test_no_answer_has_no_verdict() -> None:
    assert math.isnan(build_grader("mathematics")(None, Gold(answer="1")))


@pytest.mark.parametrize("name", ["number", "number(tolerance=0.1)", "choice", "json"])
def test_equivalences_have_names(name: str) -> None:
    assert build_equivalence(name) is not None


def test_exact_is_none_at_all_and_others_are_refused() -> None:
    assert build_equivalence("exact") is None
    with pytest.raises(InputError, match="no equivalence named 'numbr'; did you mean 'number'"):
        build_equivalence("numbr")


async def stored(folder: Path, texts: Sequence[str], config: dict[str, str]) -> Path:
    queries = [Query(id="q", prompt="?")]
    with open_run(folder / "run", fingerprint={}, config=config, queries=queries):
        write_gold(folder / "run", {"q": Gold(answer="0.5")})
        store = await FileStore.open(folder / "run")
        for i, text in enumerate(texts):
            store.add("q", i, Sample(id=f"t/q/s{i}", text=text))
        await store.aclose()
    return folder / "run"


@pytest.mark.parametrize(
    ("config", "option", "accuracy"),
    [
        ("exact", None, 0.0),
        ("exact", "number", 1.0),
        ("number", None, 1.0),
        ("number", "exact", 0.0),
    ],
)
def test_spellings_of_one_answer_vote_together(
    config: str, option: str | None, accuracy: float, tmp_path: Path
) -> None:
    import asyncio

    settings = {"extract": "whole_text", "grade": "number", "equivalence": config}
    run = asyncio.run(stored(tmp_path, ["7", "7", "1/2", "0.5", "0.50"], settings))
    (row,) = compare(run, "vote", equivalence=option).rows
    assert row.accuracy == accuracy
