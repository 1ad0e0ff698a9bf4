"""Uncertainties that read how alike the texts of the samples are (Lin et al. 2023, 2305.19187).

The similarity of two texts lies in [0, 1], is 1 of a text with itself, and is the same both ways.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from nbest.orchestrator.types import Candidates, Query, Scores
from nbest.scorers.uncertainty.tokens import answered

Similarity = Literal["jaccard", "rouge_l"]
WORD = re.compile(r"\w+")
NEAR_ZERO = 0.9  # eigenvalues of a Laplacian below it belong to clusters, as in the paper's code


def jaccard(one: Sequence[str], two: Sequence[str]) -> float:
    """The share of the different words of two texts that both have; 1 of two empty ones."""
    first, second = set(one), set(two)
    either = first | second
    return len(first & second) / len(either) if either else 1.0


def rouge_l(one: Sequence[str], two: Sequence[str]) -> float:
    """The F1 of the longest common subsequence of words (Lin 2004); 1 of two empty texts."""
    if not one or not two:
        return float(not one and not two)
    return 2 * _common(one, two) / (len(one) + len(two))


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    """The length of the longest common subsequence, a row of the table at a time."""
    row = [0] * (len(two) + 1)
    for word in one:
        before = 0
        for place, other in enumerate(two, start=1):
            here = row[place]
            row[place] = before + 1 if word == other else max(here, row[place - 1])
            before = here
    return row[-1]


SIMILARITIES: Mapping[str, Callable[[Sequence[str], Sequence[str]], float]] = {
    "jaccard": jaccard,
    "rouge_l": rouge_l,
}


def similarity_matrix(texts: Sequence[str], by: Similarity) -> Scores:
    """[N, N] How alike each two texts are; each pair of different texts is compared once."""
    words = [WORD.findall(text.casefold()) for text in texts]
    known: dict[tuple[str, str], float] = {}
    matrix = np.eye(len(texts))
    for i, one in enumerate(texts):
        for j in range(i):
            pair = (one, texts[j]) if one <= texts[j] else (texts[j], one)
            if pair not in known:
                known[pair] = 1.0 if one == texts[j] else SIMILARITIES[by](words[i], words[j])
            matrix[i, j] = matrix[j, i] = known[pair]
    return matrix


def degree(similarity: Scores) -> float:
    """1 less the mean similarity of two samples, each with itself as well: trace(N - D) / N^2."""
    return float(1 - similarity.mean())


def eigenvalues(similarity: Scores) -> float:
    """The number of meanings, made continuous: the sum of max(0, 1 - lambda) of the Laplacian.

    The Laplacian is I - D^-1/2 W D^-1/2, D the sums of the rows of W.
    """
    values, _ = _spectrum(similarity)
    return float(np.clip(1 - values, 0, None).sum())


def eccentricity(similarity: Scores) -> float:
    """How far the samples lie from their centre, in the coordinates of the Laplacian.

    The norm of its eigenvectors of small eigenvalues, each less its mean: one number a question.
    """
    values, vectors = _spectrum(similarity)
    small = vectors[:, values < NEAR_ZERO]
    return float(np.linalg.norm(small - small.mean(axis=0)))


def _spectrum(similarity: Scores) -> tuple[Scores, Scores]:
    scale = 1 / np.sqrt(similarity.sum(axis=1))
    laplacian = np.eye(len(similarity)) - scale[:, None] * similarity * scale[None, :]
    values, vectors = np.linalg.eigh(laplacian)
    return values, vectors


MEASURES: Mapping[str, Callable[[Scores], float]] = {
    "degree": degree,
    "eigenvalues": eigenvalues,
    "eccentricity": eccentricity,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissimilarity:
    """How unlike the texts of the samples with an answer are, by words.

    `measure` is `degree` (with `rouge_l` nearly the lexical similarity of Kuhn et al. 2023),
    `eigenvalues`, or `eccentricity`. nan of fewer than two samples.
    """

    needs_logprobs: ClassVar[int | None] = None

    measure: Literal["degree", "eigenvalues", "eccentricity"] = "degree"
    similarity: Similarity = "rouge_l"

    async def __call__(self, query: Query, candidates: Candidates) -> float:
        texts = sorted(sample.text for sample in answered(candidates))
        if len(texts) < 2:
            return math.nan
        return MEASURES[self.measure](similarity_matrix(texts, self.similarity))
