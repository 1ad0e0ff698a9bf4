"""Several scorers that decide together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from nbest import Candidates, Ensemble, Query, Sample, Scores
from nbest.experiments.config.plugins import build_scorer
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import is_pointwise, score_bounds
from nbest.scorers.votes.weighted import WeightedVote

QUERY = Query(id="q", prompt="?")
NAN = math.nan


@dataclass(frozen=True)
class Says:
    """A scorer that gives these numbers."""

    numbers: tuple[float, ...]
    needs_logprobs: int | None = None
    is_pointwise: ClassVar[bool] = True

    async def __call__(self, query: Query, candidates: Candidates) -> Scores:
        return np.array(self.numbers)


def candidates(*answers: str | None) -> Candidates:
    samples = tuple(Sample(id=f"r/q/s{i}", text=str(a)) for i, a in enumerate(answers))
    return Candidates(samples=samples, answers=answers)


async def scores(ensemble: Ensemble, *answers: str | None) -> list[float]:
    return (await ensemble(QUERY, candidates(*answers or ("a", "b", "c")))).tolist()


async def test_ranks_put_different_scales_beside_each_other() -> None:
    """The second scorer's numbers are a thousand times larger, and count by rank alone."""
    ensemble = Ensemble(by=(Says((0.1, 0.2, 0.3)), Says((900.0, 100.0, 500.0))))
    assert await scores(ensemble) == pytest.approx([4 / 6, 3 / 6, 5 / 6])


async def test_a_mean_takes_the_numbers_and_the_weights() -> None:
    ensemble = Ensemble(
        by=(Says((1.0, 2.0, 3.0)), Says((5.0, 5.0, 1.0))), weights=(1, 3), combine="mean"
    )
    assert await scores(ensemble) == pytest.approx([4.0, 4.25, 1.5])


async def test_where_one_says_nothing_the_others_decide() -> None:
    ensemble = Ensemble(by=(Says((1.0, NAN, NAN)), Says((3.0, 2.0, NAN))), combine="mean")
    assert await scores(ensemble) == pytest.approx([2.0, 2.0, NAN], nan_ok=True)


async def test_without_its_log_probabilities_there_is_no_score() -> None:
    ensemble = Ensemble(by=(Says((1.0, NAN, 3.0), needs_logprobs=0), Says((1.0, 1.0, 1.0))))
    assert ensemble.needs_logprobs == 0
    assert math.isnan((await scores(ensemble))[1])


async def test_a_candidate_without_an_answer_takes_no_rank() -> None:
    ensemble = Ensemble(by=(Says((1.0, 9.0, 3.0)),))
    assert await scores(ensemble, "a", None, "c") == pytest.approx([0.5, NAN, 1.0], nan_ok=True)


async def test_the_order_of_the_scorers_breaks_no_tie() -> None:
    """Ranks 5, 6, 7 and 7, 5, 6 of seven are worth the same, to the last bit."""
    by = (
        Says((5.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0)),
        Says((6.0, 5.0, 7.0, 1.0, 2.0, 3.0, 4.0)),
        Says((7.0, 6.0, 5.0, 1.0, 2.0, 3.0, 4.0)),
    )
    answers = tuple("abcdefg")
    first = await scores(Ensemble(by=by), *answers)
    assert first[0] == first[1] == first[2]
    assert await scores(Ensemble(by=by[::-1]), *answers) == first


async def test_infinities_are_no_error() -> None:
    ensemble = Ensemble(
        by=(Says((math.inf, math.inf, 1.0)), Says((1.0, -math.inf, 1.0))), combine="mean"
    )
    assert await scores(ensemble) == pytest.approx([math.inf, NAN, 1.0], nan_ok=True)


def test_what_it_says_of_itself() -> None:
    one = Says((1.0,))
    assert is_pointwise(Ensemble(by=(one,), combine="mean"))
    assert not is_pointwise(Ensemble(by=(one,)))
    assert score_bounds(Ensemble(by=(one,))) == (0.0, 1.0)
    WeightedVote(by=Ensemble(by=(one,)), transform="raw")  # ranks are weights
    with pytest.raises(InputError, match="transform must be rank or softmax"):
        WeightedVote(by=Ensemble(by=(one,), combine="mean"), transform="raw")


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("ensemble(by=[])", "by must name at least one scorer"),
        ("ensemble(by=[vote, first], weights=[1])", "weights must be 2, one a scorer"),
        ("ensemble(by=[vote], weights=[0])", "weights must be above 0 and finite"),
        ("ensemble(by=[vote], combine=product)", "combine must be 'rank' or 'mean'"),
    ],
)
def test_what_makes_no_sense_is_one_line(expression: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        build_scorer(expression)


def test_it_is_written_with_names() -> None:
    built = build_scorer('ensemble(by=[judge, judge(criterion="Is it short?")], weights=[2, 1])')
    assert isinstance(built, Ensemble)
    assert (len(built.by), built.weights) == (2, (2.0, 1.0))
