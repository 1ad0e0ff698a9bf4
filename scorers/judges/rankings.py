"""Rankings of entrants that are compared in pairs: Bradley-Terry strengths, and a knockout.

The model of Bradley and Terry is P(i beats j) = s_i / (s_i + s_j). A knockout drops the loser of
each match and needs D - 1 matches. Neither knows what the entrants are.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nbest.orchestrator.types import Scores

PRIOR = 0.1  # of a win and of a loss against an average entrant
TOLERANCE = 1e-9
MAX_ITERATIONS = 20_000


def bradley_terry(wins: NDArray[np.float64], prior: float = PRIOR) -> Scores:
    """[A] log-strengths from wins [A, A]: `wins[i, j]` times, which may be a fraction, i beat j.

    The minorisation-maximisation algorithm of Hunter 2004 (Annals of Statistics 32(1), equation 3).
    Without a prior there is no maximum where an entrant has lost or won every match; so each has
    `prior` wins and as many losses more, against an entrant of strength 1. 0 is average, and the
    log-strength of an entrant without any match.
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


Margins = Callable[[Sequence[tuple[int, int]]], Awaitable[list[float]]]


async def knockout(num: int, margins: Margins) -> Scores:
    """[D] rounds survived, plus the margin of the last match: the champion has the most.

    Entrants are numbered by their seed. The first ones have a bye in the first round, up to a power
    of two; there are D - 1 matches. A match without verdict, or with an exact tie, sends the better
    seed on, for one of the two has to go on. An entrant that never had a match with a verdict has
    nan; an entrant alone has 0.
    """
    survived, last, judged = np.zeros(num), np.zeros(num), np.full(num, num == 1)
    alive = list(range(num))
    byes = (1 << max(0, num - 1).bit_length()) - num
    while len(alive) > 1:
        playing = alive[byes:]
        pairs = list(zip(playing[::2], playing[1::2], strict=True))
        out = set()
        for pair, margin in zip(pairs, await margins(pairs), strict=True):
            has_verdict = not math.isnan(margin)
            judged[list(pair)] |= has_verdict
            last[list(pair)] = (margin, -margin) if has_verdict else (0.0, 0.0)
            out.add(pair[0] if margin < 0 else pair[1])
        alive = [entrant for entrant in alive if entrant not in out]
        survived[alive] += 1
        byes = 0
    return np.where(judged, survived + last, np.nan)
