"""Uncertainties against closed forms and relations that must hold whatever the samples are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.tasks import wait_for
from nbest.orchestrator.types import Candidates, Query, Sample, Status, TopLogprobs
from nbest.scorers.uncertainty.counts import (
    Disagreement,
    NumberOfMeanings,
    SemanticEntropy,
    VoteMargin,
    entropy,
    entropy_at,
    pairwise_agreement,
)
from nbest.scorers.uncertainty.protocol import Uncertainty
from nbest.scorers.uncertainty.similarity import (
    Dissimilarity,
    degree,
    eccentricity,
    eigenvalues,
    jaccard,
    rouge_l,
    similarity_matrix,
)
from nbest.scorers.uncertainty.tokens import (
    MeanLength,
    PredictiveEntropy,
    TokenEntropy,
    TokenMargin,
)

COUNTED: tuple[Uncertainty, ...] = (
    Disagreement(),
    VoteMargin(),
    SemanticEntropy(),
    SemanticEntropy(correction="none"),
    NumberOfMeanings(),
)
MEASURED = tuple(
    Dissimilarity(measure=measure, similarity=similarity)  # type: ignore[arg-type]
    for measure in ("degree", "eigenvalues", "eccentricity")
    for similarity in ("jaccard", "rouge_l")
)
OF_TOKENS: tuple[Uncertainty, ...] = (
    MeanLength(),
    PredictiveEntropy(),
    PredictiveEntropy(per_token=False),
    TokenEntropy(),
    TokenMargin(),
)
ALL: tuple[Uncertainty, ...] = (*COUNTED, *MEASURED, *OF_TOKENS)

ANSWERS = st.lists(st.sampled_from(["a", "b", "c d", None]), min_size=1, max_size=10)


def pool(answers: Sequence[str | None]) -> Candidates:
    """Samples that say their answers, with log-probabilities that follow from these."""
    samples = []
    for place, answer in enumerate(answers):
        words = (answer or "none").split()
        seed = sum(map(ord, answer or "none"))
        top = np.log(np.array([[0.5 + seed % 4 / 10, 0.05]] * len(words), np.float32))
        samples.append(
            Sample(
                id=f"r/q/s{place}",
                text=answer or "none",
                token_ids=tuple(range(len(words))),
                logprobs=tuple(float(row[0]) for row in top),
                top_logprobs=TopLogprobs(k=2, packed=top.tobytes()),
                generated_tokens=len(words),
                status=Status.OK,
            )
        )
    return Candidates(samples=tuple(samples), answers=tuple(answers))


def of(uncertainty: Uncertainty, answers: Sequence[str | None]) -> float:
    return wait_for(uncertainty(Query(id="q", prompt="?"), pool(answers)))


@pytest.mark.parametrize("uncertainty", ALL, ids=repr)
@given(answers=ANSWERS, seed=st.integers(0, 100))
def test_the_order_changes_nothing(
    uncertainty: Uncertainty, answers: list[str | None], seed: int
) -> None:
    shuffled = [answers[i] for i in np.random.default_rng(seed).permutation(len(answers))]
    assert of(uncertainty, shuffled) == pytest.approx(of(uncertainty, answers), nan_ok=True)


@pytest.mark.parametrize("uncertainty", ALL, ids=repr)
def test_without_an_answer_nothing_is_known(uncertainty: Uncertainty) -> None:
    assert isinstance(uncertainty, Uncertainty)
    assert math.isnan(of(uncertainty, [None, None, None]))


@pytest.mark.parametrize("uncertainty", [*COUNTED, *MEASURED], ids=repr)
def test_samples_without_an_answer_disagree_with_nobody(uncertainty: Uncertainty) -> None:
    answers = ["a", "b", "a", "c d"]
    assert of(uncertainty, [*answers, None, None]) == pytest.approx(of(uncertainty, answers))


@pytest.mark.parametrize("uncertainty", [*COUNTED, *MEASURED], ids=repr)
def test_one_answer_is_less_unsure_than_many(uncertainty: Uncertainty) -> None:
    one = of(uncertainty, ["a"] * 6)
    some = of(uncertainty, ["a"] * 4 + ["b c"] * 2)
    many = of(uncertainty, ["a", "b", "c", "d", "e", "f"])
    assert one < some < many


@pytest.mark.parametrize(
    "uncertainty", [Disagreement(), VoteMargin(), SemanticEntropy(correction="none")], ids=repr
)
@given(answers=ANSWERS)
def test_each_sample_twice_says_the_same(
    uncertainty: Uncertainty, answers: list[str | None]
) -> None:
    assert of(uncertainty, answers * 2) == pytest.approx(of(uncertainty, answers), nan_ok=True)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_merging_two_answers_lowers_the_entropy(counts: list[int]) -> None:
    merged = np.array([counts[0] + counts[1], *counts[2:]], np.float64)
    plain = np.array(counts, np.float64)
    assert entropy(merged) <= entropy(plain) + 1e-12
    assert 0 <= entropy(plain) <= math.log(len(counts)) + 1e-12
    assert entropy(plain) <= math.log(plain.sum()) + 1e-12


def test_entropy_of_known_counts() -> None:
    assert entropy(np.array([7.0])) == 0.0
    assert entropy(np.array([5.0, 5.0])) == pytest.approx(math.log(2))
    assert entropy(np.ones(8)) == pytest.approx(math.log(8))
    corrected = entropy(np.array([5.0, 5.0]), "miller_madow")
    assert corrected == pytest.approx(math.log(2) + 1 / 20)
    assert math.isnan(entropy(np.array([])))


@pytest.mark.parametrize(
    ("n", "plain", "corrected"),
    [(5, 1.36, 1.67), (10, 1.78, 2.05), (20, 2.04, 2.24), (64, 2.23, 2.30)],
)
def test_the_bias_of_few_samples_is_that_of_ten_equal_answers(
    n: int, plain: float, corrected: float
) -> None:
    rng = np.random.default_rng(7)
    draws = [np.bincount(rng.integers(0, 10, n), minlength=10).astype(float) for _ in range(4000)]
    draws = [counts[counts > 0] for counts in draws]
    assert np.mean([entropy(counts) for counts in draws]) == pytest.approx(plain, abs=0.015)
    mended = np.mean([entropy(counts, "miller_madow") for counts in draws])
    assert mended == pytest.approx(corrected, abs=0.015)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_entropy_at_is_the_mean_over_all_subsets(counts: list[int]) -> None:
    labels = [place for place, count in enumerate(counts) for _ in range(count)]
    for n in range(1, len(labels) + 1):
        subsets = combinations(labels, n)
        values = [entropy(np.bincount(subset).astype(float)) for subset in subsets]
        assert entropy_at(np.array(counts, float), n) == pytest.approx(np.mean(values), abs=1e-9)
    with pytest.raises(InputError, match="n must lie in 1"):
        entropy_at(np.array(counts, float), len(labels) + 1)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_pairwise_agreement_is_the_share_of_equal_pairs(counts: list[int]) -> None:
    labels = [place for place, count in enumerate(counts) for _ in range(count)]
    pairs = [a == b for a, b in combinations(labels, 2)]
    expected = float(np.mean(pairs)) if pairs else math.nan
    assert pairwise_agreement(np.array(counts, float)) == pytest.approx(expected, nan_ok=True)


def test_similarities_of_words() -> None:
    assert jaccard(["a", "b"], ["b", "c"]) == pytest.approx(1 / 3)
    assert jaccard([], []) == rouge_l([], []) == 1.0
    assert rouge_l(["a"], []) == 0.0
    assert rouge_l(["the", "cat", "sat"], ["the", "dog", "sat", "down"]) == pytest.approx(4 / 7)
    words = st.lists(st.sampled_from("abc"), max_size=7)

    @given(words, words)
    def holds(one: list[str], two: list[str]) -> None:
        for similarity in (jaccard, rouge_l):
            assert similarity(one, one) == 1.0
            assert similarity(one, two) == pytest.approx(similarity(two, one))
            assert 0 <= similarity(one, two) <= 1

    holds()


def test_measures_of_clusters_that_share_nothing() -> None:
    """Of K groups of equal texts, the number of meanings is K, whatever their sizes."""
    texts = ["a"] * 3 + ["b"] * 2 + ["c"]
    matrix = similarity_matrix(texts, "jaccard")
    assert eigenvalues(matrix) == pytest.approx(3.0)
    assert degree(matrix) == pytest.approx(1 - (9 + 4 + 1) / 36)
    assert eigenvalues(np.ones((4, 4))) == pytest.approx(1.0)
    assert degree(np.ones((4, 4))) == 0.0
    assert eccentricity(np.ones((4, 4))) == pytest.approx(0.0, abs=1e-9)
    assert eccentricity(np.eye(4)) == pytest.approx(math.sqrt(3))


def test_tokens_against_arithmetic() -> None:
    candidates = pool(["a", "c d"])
    logs = [sample.logprobs or () for sample in candidates.samples]
    assert of(PredictiveEntropy(), ["a", "c d"]) == pytest.approx(
        -np.mean([np.mean(one) for one in logs])
    )
    assert of(PredictiveEntropy(per_token=False), ["a", "c d"]) == pytest.approx(
        -np.mean([np.sum(one) for one in logs])
    )
    assert of(MeanLength(), ["a", "c d"]) == 1.5
    p = math.exp(logs[0][0])
    rest = 1 - p - 0.05
    entropy_a = -(p * math.log(p) + 0.05 * math.log(0.05) + rest * math.log(rest))
    assert of(TokenEntropy(), ["a"]) == pytest.approx(entropy_a, rel=1e-5)
    assert of(TokenMargin(), ["a"]) == pytest.approx(1 - (p - 0.05), rel=1e-5)


def test_equal_texts_are_not_counted_as_more_likely() -> None:
    """As lm-polygraph does, which adds the likelihood of each repeated sample."""
    assert of(SemanticEntropy(correction="none"), ["a"] * 10) == 0.0
    assert of(SemanticEntropy(correction="none"), ["a"] * 5 + ["b"] * 5) == pytest.approx(
        0.693, abs=1e-3
    )
