"""Log-probability scores as relations between the sum, the mean and the tokens."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import LengthPenalisedLogprob, MeanLogprob, Perplexity, mean_logprob, sum_logprob
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.confidence.logprob import length_penalised_logprob, perplexity

LOGPROBS = st.lists(st.floats(-100.0, 0.0), min_size=1, max_size=50)


def sample(logprobs: Sequence[float] | None) -> Sample:
    return Sample(id="s", text="", logprobs=None if logprobs is None else tuple(logprobs))


@given(LOGPROBS)
def test_mean_times_tokens_is_sum(logprobs: list[float]) -> None:
    one = [sample(logprobs)]
    np.testing.assert_allclose(mean_logprob(one) * len(logprobs), sum_logprob(one))


@given(LOGPROBS, st.data())
def test_order_of_tokens_does_not_matter_at_all(logprobs: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(logprobs))
    assert sum_logprob([sample(logprobs)]) == sum_logprob([sample(shuffled)])


@given(LOGPROBS, st.integers(2, 5))
def test_repeating_all_tokens_keeps_the_mean_and_scales_the_sum(
    logprobs: list[float], times: int
) -> None:
    once, repeated = [sample(logprobs)], [sample(logprobs * times)]
    np.testing.assert_allclose(mean_logprob(repeated), mean_logprob(once), rtol=1e-12)
    np.testing.assert_allclose(sum_logprob(repeated), times * sum_logprob(once), rtol=1e-12)


@given(LOGPROBS, st.floats(-100.0, 0.0))
def test_another_token_never_raises_the_sum(logprobs: list[float], extra: float) -> None:
    assert sum_logprob([sample([*logprobs, extra])])[0] <= sum_logprob([sample(logprobs)])[0]


def test_mean_prefers_what_sum_holds_against_length() -> None:
    pool = [sample([-0.5] * 10), sample([-0.9] * 2)]
    assert mean_logprob(pool).argmax() == 0
    assert sum_logprob(pool).argmax() == 1


def test_the_last_token_counts() -> None:
    # The end-of-sequence token comes last, and it is part of both.
    assert mean_logprob([sample([-1.0, -3.0])])[0] == -2.0
    assert sum_logprob([sample([-1.0, -3.0])])[0] == -4.0


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        (),
        (-1.0, math.nan),
        (-1.0, -math.inf),
        (-math.inf, math.inf),
        (-1e308, -1e308),
    ],
)
def test_cannot_say(logprobs: tuple[float, ...] | None) -> None:
    pool = [sample(logprobs), sample([-1.0])]
    np.testing.assert_array_equal(sum_logprob(pool), [math.nan, -1.0])
    np.testing.assert_array_equal(mean_logprob(pool), [math.nan, -1.0])


def test_empty_pool() -> None:
    assert mean_logprob([]).shape == sum_logprob([]).shape == (0,)


@given(LOGPROBS)
def test_the_length_penalty_lies_between_the_sum_and_the_mean(logprobs: list[float]) -> None:
    one = [sample(logprobs)]
    np.testing.assert_array_equal(length_penalised_logprob(one, 0.0), sum_logprob(one))
    penalty = (5 + len(logprobs)) / 6
    expected = sum_logprob(one) / penalty**0.6
    np.testing.assert_allclose(length_penalised_logprob(one, 0.6), expected, rtol=1e-12)


def test_a_stronger_penalty_forgives_length() -> None:
    pool = [sample([-0.5] * 10), sample([-0.9] * 2)]
    chosen = [length_penalised_logprob(pool, alpha).argmax() for alpha in (0.0, 0.6, 1.0, 2.0)]
    assert chosen == [1, 1, 1, 0]


def test_perplexity_of_even_odds_is_the_number_of_choices() -> None:
    np.testing.assert_allclose(perplexity([sample([math.log(1 / 6)] * 4)]), [6.0])
    assert np.isnan(perplexity([sample(None)])).all()
    assert np.isinf(perplexity([sample([-1000.0])])).all()


async def test_perplexity_chooses_as_the_mean_does() -> None:
    samples = tuple(sample([-x, -0.1]) for x in (0.5, 0.2, 0.9))
    candidates = Candidates(samples=samples, answers=("a", "b", "c"))
    query = Query(id="q", prompt="?")
    order = [s(query, candidates) for s in (Perplexity(), MeanLogprob())]
    assert np.argsort(await order[0]).tolist() == np.argsort(await order[1]).tolist()


def test_alpha_is_checked() -> None:
    with pytest.raises(InputError, match=r"alpha must lie in \[0, 2\], got -1"):
        LengthPenalisedLogprob(alpha=-1)
