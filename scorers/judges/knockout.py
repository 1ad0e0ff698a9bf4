"""A knockout: whoever loses is out. It knows how many entrants there are, and not what they are."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from nbest.orchestrator.types import Scores

Margins = Callable[[Sequence[tuple[int, int]]], Awaitable[list[float]]]


async def knockout(num: int, margins: Margins) -> Scores:
    """[D] rounds survived, plus the margin of the last match: the champion has the most.

    Entrants are numbered by their seed. The first ones have a bye in the first round, up to a power
    of two; there are D - 1 matches. A match without verdict, or with an exact tie, sends the better
    seed on, for somebody has to go on. Nan is who never had a match with a verdict; an entrant
    alone has 0.
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
