"""The gain of a vote: measured on other samples than those that say how hard a question is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nbest.experiments.studies.vote_gain import Measured, by_accuracy, by_pool, main


def measured_pool(accuracy: list[float], one: list[float], vote: list[float]) -> Measured:
    ids = tuple(f"q{i}" for i in range(len(one)))
    return Measured(accuracy=np.array(accuracy), one=np.array(one), vote=np.array(vote), ids=ids)


WEAK = measured_pool([0.1, 0.5, 0.7], [0.1, 0.5, 0.7], [0.0, 0.6, 1.0])
STRONG = measured_pool([0.9, 1.0, 0.7], [0.9, 1.0, 0.7], [1.0, 1.0, 1.0])


def test_the_weakest_pool_comes_first() -> None:
    gains = by_pool({"strong": STRONG, "weak": WEAK})
    assert [gain.of for gain in gains] == ["weak", "strong"]
    assert gains[0].gain == pytest.approx(0.1)
    assert gains[0].low < gains[0].gain < gains[0].high


def test_questions_of_all_pools_are_sorted_by_the_accuracy_of_one_sample() -> None:
    gains = {gain.of: gain for gain in by_accuracy({"strong": STRONG, "weak": WEAK})}
    assert list(gains) == ["0.0 to 0.2", "0.4 to 0.6", "0.6 to 0.8", "0.8 to 1.0"]
    assert gains["0.0 to 0.2"].gain == pytest.approx(-0.1)
    assert gains["0.6 to 0.8"].questions == 2
    assert gains["0.8 to 1.0"].questions == 2  # 1.0 is in the last range


def test_the_command_deals_samples_into_two_halves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first half is always wrong, and the second always right: no sample is in both."""
    lines = [
        {"id": f"q{i}", "gold": "1", "samples": [{"answer": a} for a in ("2", "1") * 4]}
        for i in range(5)
    ]
    pool = tmp_path / "model.jsonl"
    pool.write_text("".join(json.dumps(line) + "\n" for line in lines))
    main([str(pool), "--k", "4", "--json"])
    document = json.loads(capsys.readouterr().out)
    (of_pool,), (of_range,) = document["pools"], document["accuracy"]
    assert (of_pool["one"], of_pool["vote"]) == (1.0, 1.0)
    assert (of_range["of"], of_range["questions"]) == ("0.0 to 0.2", 5)
    main([str(pool), "--k", "4"])
    assert "vote of 4" in capsys.readouterr().out
