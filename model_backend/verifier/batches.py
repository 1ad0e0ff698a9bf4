"""Sorts examples into batches: the same ones for the same seed, whatever came before.

It knows no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

# So many batches are sorted by length together: padding costs time, but a whole epoch in the order
# of length would teach the short examples first.
SORTED_TOGETHER = 32


def batches_of(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[tuple[int, ...]]:
    """Return the places of the examples [N], each once, in batches of like length."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths)).tolist()
    batches: list[tuple[int, ...]] = []
    for start in range(0, len(order), batch_size * SORTED_TOGETHER):
        chunk = sorted(order[start : start + batch_size * SORTED_TOGETHER], key=lengths.__getitem__)
        batches += [tuple(chunk[i : i + batch_size]) for i in range(0, len(chunk), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches)).tolist()]


def micro_batches(
    places: Sequence[int], lengths: Sequence[int], max_tokens: int
) -> Iterator[tuple[int, ...]]:
    """Yield the places in groups of at most `max_tokens`, padding included; one always fits."""
    group: list[int] = []
    longest = 0
    for place in sorted(places, key=lengths.__getitem__):
        longest = max(longest, lengths[place])
        if group and longest * (len(group) + 1) > max_tokens:
            yield tuple(group)
            group, longest = [], lengths[place]
        group.append(place)
    if group:
        yield tuple(group)
