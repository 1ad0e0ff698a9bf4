"""Minimum Bayes risk: utilities by hand, the rule against brute force, equality as a vote."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import MajorityVote, MinimumBayesRisk
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.query.selection import select
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.votes.bayes_risk import (
    FEW_CHARACTERS,
    UTILITIES,
    chrf,
    exact_match,
    mean_utilities,
    tabulated_means,
    token_f1,
)
from nbest.scorers.votes.shared_ngrams import utility_table

QUERY = Query(id="q", prompt="?")
TEXTS = st.sampled_from(["a cat sat", "a cat", "the dog", "A CAT sat.", "", "x"])
ANSWERS = st.lists(st.none() | TEXTS, max_size=8)


def pool(answers: Sequence[str | None]) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=a or "") for i, a in enumerate(answers))
    return Candidates(samples=samples, answers=tuple(answers))


def test_utilities_by_hand() -> None:
    assert (exact_match("7", "7"), exact_match("7", "7 ")) == (1.0, 0.0)
    assert token_f1("the cat sat", "The cat") == pytest.approx(2 * 2 / 5)
    assert token_f1("cat cat", "cat") == pytest.approx(2 / 3)
    assert token_f1("", "") == chrf("", "") == 1.0
    assert token_f1("x", "") == chrf("x", "") == 0.0
    # abc and abd: 2 of 3 letters, 1 of 2 pairs, 0 of 1 triples
    assert chrf("abc", "a bd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


@pytest.mark.parametrize("name", UTILITIES)
@given(one=st.text(max_size=9), two=st.text(max_size=9))
def test_utilities_are_symmetric_and_1_for_equal_texts(name: str, one: str, two: str) -> None:
    utility = UTILITIES[name]
    assert utility(one, two) == utility(two, one)
    assert 0.0 <= utility(one, two) <= 1.0
    assert utility(one, one) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["exact", "f1", "chrf"])
@given(answers=ANSWERS)
async def test_the_score_is_the_mean_utility_against_all_others(
    name: str, answers: list[str | None]
) -> None:
    scores = await MinimumBayesRisk(utility=name)(QUERY, pool(answers))  # type: ignore[arg-type]
    voters = [i for i, answer in enumerate(answers) if answer is not None]
    for i, answer in enumerate(answers):
        others = [UTILITIES[name](str(answer), str(answers[j])) for j in voters if j != i]
        expected = math.nan if answer is None else sum(others) / max(len(others), 1)
        np.testing.assert_allclose(scores[i], expected, rtol=1e-12)


@given(one=st.text("ab ", max_size=12), two=st.text("ab ", max_size=12))
def test_chrf_counts_what_multisets_have_in_common(one: str, two: str) -> None:
    first, second = one.replace(" ", ""), two.replace(" ", "")
    scores = []
    for n in range(1, 7):
        a = Counter(first[i : i + n] for i in range(len(first) - n + 1))
        b = Counter(second[i : i + n] for i in range(len(second) - n + 1))
        if a or b:
            scores.append(2 * (a & b).total() / (a.total() + b.total()))
    assert chrf(one, two) == (math.fsum(scores) / len(scores) if scores else 1.0)


@pytest.mark.parametrize("name", ["f1", "chrf"])
@given(
    votes=st.dictionaries(
        st.text(alphabet="abc .B", max_size=12) | st.text(max_size=9), st.integers(1, 3), min_size=1
    )
)
def test_the_table_gives_exactly_what_the_plain_function_gives(
    name: str, votes: dict[str, int]
) -> None:
    plain = mean_utilities(votes, UTILITIES[name])
    assert tabulated_means(name, list(votes), list(votes.values())) == plain


def test_many_texts_with_much_in_common_too() -> None:
    """Units that many texts hold go through a matrix product, others through pairs."""
    rng = random.Random(5)
    words = [f"w{i}" for i in range(40)]
    texts = [" ".join(rng.choices(words, k=rng.randrange(1, 60))) for _ in range(40)]
    table = utility_table("f1", texts)
    assert [[token_f1(a, b) for b in texts] for a in texts] == table.tolist()
    few = texts[:20]
    assert [[chrf(a, b) for b in few] for a in few] == utility_table("chrf", few).tolist()


@pytest.mark.parametrize("name", ["f1", "chrf"])
async def test_long_answers_are_compared_in_a_child_and_choose_alike(name: str) -> None:
    answers = [f"{'the cat sat on the mat ' * 30} {i % 4}" for i in range(8)]
    assert sum(map(len, set(answers))) > FEW_CHARACTERS
    scores = await MinimumBayesRisk(utility=name)(QUERY, pool(answers))  # type: ignore[arg-type]
    plain = mean_utilities(Counter(answers), UTILITIES[name])
    assert scores.tolist() == [dict(zip(Counter(answers), plain, strict=True))[a] for a in answers]


@given(ANSWERS)
async def test_with_equality_as_utility_it_is_the_vote(answers: list[str | None]) -> None:
    risk = await select(QUERY, pool(answers), MinimumBayesRisk(utility="exact"))
    assert risk.answer == (await select(QUERY, pool(answers), MajorityVote())).answer


async def test_a_text_in_the_middle_beats_a_bare_majority() -> None:
    answers = ["red", "red", "a b c d", "a b c e", "a b c f"]
    assert (await select(QUERY, pool(answers), MajorityVote())).answer == "red"
    assert (await select(QUERY, pool(answers), MinimumBayesRisk())).answer == "a b c d"


async def test_a_function_of_ones_own() -> None:
    closest = MinimumBayesRisk(utility=lambda text, truth: -abs(len(text) - len(truth)))
    assert (await select(QUERY, pool(["a", "bbb", "ccccccc"]), closest)).answer == "bbb"


def test_an_unknown_utility_is_refused() -> None:
    with pytest.raises(InputError, match="utility must be one of exact, f1, chrf, or a function"):
        MinimumBayesRisk(utility="bleu")  # type: ignore[arg-type]
