"""Strengths from comparisons: the model of Bradley and Terry, P(i beats j) = s_i / (s_i + s_j)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores

PRIOR = 0.1  # of a win and of a loss against an average entrant
TOLERANCE = 1e-9
MAX_ITERATIONS = 20_000


def bradley_terry(wins: NDArray[np.float64], prior: float = PRIOR) -> Scores:
    """[A] log-strengths from wins [A, A]: `wins[i, j]` times, which may be a fraction, i beat j.

    The minorisation-maximisation algorithm of Hunter 2004 (Annals of Statistics 32(1), equation 3).
    Without a prior there is no maximum where somebody lost or won all; so each has besides `prior`
    wins and as many losses against an entrant of strength 1. 0 is average; whoever met nobody is.
    """
    games = wins + wins.T
    won = wins.sum(axis=1) + prior
    strengths = np.ones(len(wins))
    for _ in range(MAX_ITERATIONS):
        met = (games / np.add.outer(strengths, strengths)).sum(axis=1)
        new = won / (met + 2 * prior / (strengths + 1.0))
        step = np.abs(np.log(new) - np.log(strengths)).max(initial=0.0)
        strengths = new
        if step < TOLERANCE:
            break
    return np.log(strengths)
