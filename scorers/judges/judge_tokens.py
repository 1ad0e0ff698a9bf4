"""What the probabilities of a judge's tokens say, beyond the one token that it chose.

It knows which tokens have a value and what may stand before them, and no prompt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from nbest.orchestrator.types import Sample


def first_value(sample: Sample, values: Mapping[str, float], said: float, before: str) -> float:
    """The mean of `values` under the probabilities of their tokens, at the first position where
    one of them is likeliest and what its line holds before it matches `before`.

    G-Eval (Liu et al. 2023, arXiv 2303.16634), equation 1, with the probabilities of these tokens
    renormalised. `said` is what the reply says in words: it is the result where the likeliest
    tokens were not kept. Where it is nan, only a value that ends the reply counts; after any other
    there is something that could not be read.
    """
    top = sample.top_logprobs
    if top is None or not top.texts:
        return said
    likeliest = top.texts[:: top.k]
    position = _position(likeliest, values, before)
    if position is None:
        return said
    if math.isnan(said) and position + 1 < len(likeliest):
        return math.nan
    tokens = top.texts[position * top.k : (position + 1) * top.k]
    return _mean(tokens, top.array()[position].astype(np.float64).tolist(), values)


def _position(likeliest: Sequence[str], values: Mapping[str, float], before: str) -> int | None:
    said = ""
    for position, token in enumerate(likeliest):
        said += token
        if token.strip() in values:
            head = said.rstrip()[: -len(token.strip())]
            if re.fullmatch(before, head.rpartition("\n")[2]):
                return position
    return None


def _mean(tokens: Sequence[str], logprobs: Sequence[float], values: Mapping[str, float]) -> float:
    pairs = zip((token.strip() for token in tokens), logprobs, strict=True)
    weights = [(values[t], math.exp(p)) for t, p in pairs if t in values and p <= 0]  # nan is not
    total = math.fsum(weight for _, weight in weights)
    if not total:
        return math.nan
    return math.fsum(value * weight for value, weight in weights) / total
