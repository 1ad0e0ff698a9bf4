"""Majority vote as relations: what may and what may not move a share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import vote_shares

ANSWERS = st.lists(st.sampled_from(["7", "8", "-5", "5", "A", "", None]), max_size=30)


def winner(answers: list[str | None]) -> str | None:
    """The readable twin of selection: best share, ties to the lowest index."""
    shares = vote_shares(answers)
    return None if np.isnan(shares).all() else answers[int(np.nanargmax(shares))]


@given(ANSWERS)
def test_shares_agree_with_counting(answers: list[str | None]) -> None:
    voters = [a for a in answers if a is not None]
    expected = [np.nan if a is None else voters.count(a) / len(voters) for a in answers]
    np.testing.assert_array_equal(vote_shares(answers), np.array(expected, np.float64))


@given(ANSWERS)
def test_shares_of_the_distinct_answers_sum_to_one(answers: list[str | None]) -> None:
    share = {a: s for a, s in zip(answers, vote_shares(answers), strict=True) if a is not None}
    assert not share or sum(share.values()) == pytest.approx(1.0)


@given(ANSWERS.filter(len), st.data())
def test_duplicating_an_answer_never_lowers_its_share(
    answers: list[str | None], data: st.DataObject
) -> None:
    i = data.draw(st.integers(0, len(answers) - 1))
    before, after = vote_shares(answers)[i], vote_shares([*answers, answers[i]])[i]
    assert after >= before or (np.isnan(before) and np.isnan(after))


@given(ANSWERS, st.integers(0, 50))
def test_abstentions_change_no_share(answers: list[str | None], abstentions: int) -> None:
    with_more = vote_shares([*answers, *[None] * abstentions])
    np.testing.assert_array_equal(with_more[: len(answers)], vote_shares(answers))
    assert np.isnan(with_more[len(answers) :]).all()


@given(ANSWERS, st.integers(1, 5))
def test_only_proportions_count(answers: list[str | None], times: int) -> None:
    repeated = vote_shares(answers * times)[: len(answers)]
    np.testing.assert_allclose(repeated, vote_shares(answers))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([None, None, None, None, "7", "7", "7", "8", "8"], "7"),  # T3: truncated ones never vote
        ([None, None, None, "42", "42"], "42"),  # T11: nor do unparseable ones
        ([None, None, None, "5", "5"], "5"),  # T12
        (["5", "-5", "-5"], "-5"),  # T19: a sign is not punctuation
        (["A", "A", "B"], "A"),  # T19: "A" is not an article
        (["8", "7", "7", "8"], "8"),  # a tie goes to the lowest index
        ([None, None], None),
        ([], None),
    ],
)
def test_who_wins(answers: list[str | None], expected: str | None) -> None:
    assert winner(answers) == expected


def test_nobody_agrees_with_two_unparseable_samples() -> None:
    assert np.isnan(vote_shares([None, None])).all()  # T3: this was once 100% agreement
