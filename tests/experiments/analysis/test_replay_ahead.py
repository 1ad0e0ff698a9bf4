"""What is under way when a rule stops: a replay pays for it what a live run pays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from nbest import MajorityVote
from nbest.experiments.analysis.curves.exact import graded_cases
from nbest.experiments.analysis.replay.adaptive import ReplayedAdaptive
from nbest.experiments.analysis.replay.ahead import Bill, SampleCost, bill_of
from nbest.experiments.analysis.replay.drawn import Drawn
from nbest.experiments.analysis.replay.replay import replay, replay_cases
from nbest.experiments.analysis.replay.view import sentences
from nbest.experiments.runs.cases import load_cases
from nbest.orchestrator.sampling_params import SamplingParams
from nbest.orchestrator.strategies.adaptive import Adaptive
from nbest.orchestrator.types import Status
from tests.experiments.analysis.test_replay import live, paced_run, stored_pool


@pytest.mark.parametrize("ahead", [1, 2, 4, 8])
def test_a_replay_pays_what_a_live_run_pays(ahead: int, tmp_path: Path) -> None:
    """The same samples, in virtual time: to the token and to the second."""
    params = SamplingParams()
    cases = graded_cases(load_cases(paced_run(tmp_path / "run", params)))
    replayed = ReplayedAdaptive(ahead=ahead)
    strategy = Adaptive(max_n=12, select=MajorityVote(), ahead=ahead, params=params)
    aborted = 0
    for case in cases:
        drawn = Drawn(case=case, order=range(12), whole=None)
        (spent,) = asyncio.run(replayed.outcomes([drawn]))
        chosen, seconds = live(strategy, case.query)
        assert spent.answer == chosen.answer
        assert spent.started == len(chosen.samples)
        assert spent.samples == sum(s.status is not Status.CANCELLED for s in chosen.samples)
        assert spent.seconds == pytest.approx(seconds)
        tokens = sum(sample.generated_tokens for sample in chosen.samples)
        # The engine counts whole tokens, a replay the share of the time.
        assert abs(spent.tokens - tokens) <= ahead
        assert spent.counted is not None
        aborted += spent.tokens > spent.counted
    assert (aborted > 0) == (ahead > 1)


def test_a_bill_by_hand() -> None:
    """Two at a time: the second is looked at with the first, the third starts then."""
    costs = [SampleCost(10, 4.0), SampleCost(5, 2.0), SampleCost(8, 2.0), SampleCost(9, 3.0)]
    assert bill_of(costs, n=1, ahead=1) == Bill(1, 10, 4.0)
    assert bill_of(costs, n=2, ahead=1) == Bill(2, 15, 6.0)
    # At 4 s the first is looked at and the third starts; the second has long ended: stop at once.
    assert bill_of(costs, n=2, ahead=2) == Bill(3, 15 + 0, 4.0)
    # Then the fourth starts at 4 s, too, and at 6 s the third ends.
    assert bill_of(costs, n=3, ahead=2) == Bill(4, 23 + 9 * 2 / 3, 6.0)
    assert bill_of(costs, n=4, ahead=4) == Bill(4, 32, 4.0)
    slow = [SampleCost(10, 4.0, first_token_s=3.0), SampleCost(10, 4.0, first_token_s=3.0)]
    assert slow[0].tokens_by(2.0) == 0.0
    assert slow[0].tokens_by(3.5) == 5.0


def test_more_ahead_saves_less_and_answers_alike(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    by_ahead = [replay(run, f"adaptive(ahead={a})", max_n=20, shuffles=30) for a in (1, 4, 8)]
    assert by_ahead[0].saving > by_ahead[1].saving > by_ahead[2].saving
    for one in by_ahead:
        assert one.accuracy == pytest.approx(by_ahead[0].accuracy)
        assert one.saving_counted == pytest.approx(by_ahead[0].saving)
    default = replay(run, "adaptive", max_n=20, shuffles=30)  # as in a live run
    assert default.as_json() == by_ahead[1].as_json()
    for one in by_ahead:
        assert one.saving_low < one.saving < one.saving_high
        assert one.gain_low < one.gain < one.gain_high


def test_figures_come_with_their_errors(tmp_path: Path) -> None:
    run = stored_pool(tmp_path)
    lines = sentences(replay(run, max_n=20, shuffles=50), 20)
    assert lines[0].startswith("accuracy 0.")
    assert "points over all 20 in the same orders" in lines[1]
    assert "the orders add an error of " in lines[1]
    assert "% saved (" in lines[3] or "% saved (" in lines[2]
    assert "% but for what is aborted" in " ".join(lines)
    alone = " ".join(sentences(replay(run, "adaptive(ahead=1)", max_n=20, shuffles=50), 20))
    assert "aborted" not in alone


def test_the_error_of_the_orders_is_what_seeds_differ_by(tmp_path: Path) -> None:
    cases = graded_cases(load_cases(stored_pool(tmp_path)))
    gains, errors = [], []
    for seed in range(40):
        one = replay_cases(cases, ReplayedAdaptive(ahead=1), 12, 12, seed)
        gains.append(one.gain)
        errors.append(one.accuracy_error)
    assert np.mean(errors) == pytest.approx(float(np.std(gains)), rel=0.35)
