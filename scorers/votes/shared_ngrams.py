"""How much every two of many texts have in common: counts of words, or of character n-grams.

It gives the numbers of `token_f1` and `chrf`, to the last bit, without a counter for each pair: all
tokens of all texts are numbered and sorted once. The r-th time that a text holds a token is a unit
of its own, so what two texts share, the sum of the smaller counts, is the number of units that
both hold. Long texts take seconds, which must not be those of an event loop: call it in a child.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Table = NDArray[np.float64]

MAX_NGRAM = 6
_WORD = re.compile(r"\w+|[^\w\s]")
_FEW = 16  # units that so few texts hold are counted pair by pair, others by a matrix product
_BLOCK = 4096  # units a product


def words_of(text: str) -> list[str]:
    """The words and signs of a text, case ignored."""
    return _WORD.findall(text.casefold())


def utility_table(name: str, texts: Sequence[str]) -> Table:
    """[A, A] the utility "f1" or "chrf" of each two of these texts; 1 where they are the same one.

    A mean over kinds of tokens: words are one kind, n-grams of each length are one. A kind that
    neither text has does not count.
    """
    kinds = _words(texts) if name == "f1" else _ngrams(texts)
    f1 = np.stack([_f1(tokens) for tokens in kinds], axis=-1)
    table = [[_mean(scores) for scores in row] for row in f1.tolist()]
    np.fill_diagonal(utilities := np.array(table, np.float64), 1.0)
    return utilities


def _mean(scores: list[float]) -> float:
    counted = [score for score in scores if not math.isnan(score)]
    return math.fsum(counted) / len(counted) if counted else 1.0


def _f1(tokens: Sequence[Numbers]) -> Table:
    """[A, A] 2 shared / total, nan where both texts are empty."""
    sizes = np.array([len(of_text) for of_text in tokens], np.float64)
    total = sizes[:, np.newaxis] + sizes
    shared = shared_counts(tokens).astype(np.float64)
    return np.divide(2 * shared, total, out=np.full_like(total, np.nan), where=total > 0)


def _words(texts: Sequence[str]) -> Iterator[list[Numbers]]:
    numbers: dict[str, int] = {}
    yield [
        np.array([numbers.setdefault(word, len(numbers)) for word in words_of(text)], np.int64)
        for text in texts
    ]


def _ngrams(texts: Sequence[str]) -> Iterator[list[Numbers]]:
    """The n-grams of each length, spaces left out, as numbers below how many there are."""
    encoded = ("".join(text.split()).encode("utf-32-le", "surrogatepass") for text in texts)
    characters = _renumbered([np.frombuffer(code, np.uint32) for code in encoded])
    base = 1 + max((int(of_text.max()) for of_text in characters if len(of_text)), default=0)
    ngrams = characters
    for n in range(1, MAX_NGRAM + 1):
        yield ngrams
        pairs = zip(ngrams, characters, strict=True)
        ngrams = _renumbered([shorter[:-1] * base + one[n:] for shorter, one in pairs])


def _renumbered(parts: Sequence[NDArray[np.integer]]) -> list[Numbers]:
    """Equal values by equal numbers from 0 on: what is a product never leaves 64 bits."""
    ends = np.cumsum([len(part) for part in parts])
    _, numbers = np.unique(np.concatenate(parts), return_inverse=True)
    return np.split(numbers.astype(np.int64), ends[:-1])


def shared_counts(tokens: Sequence[Numbers]) -> Numbers:
    """[A, A] how many tokens each two texts share, each as often as both hold it."""
    count = len(tokens)
    texts, unit = _units(tokens)
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    sizes = np.diff(starts, append=len(unit))
    is_rare = np.repeat(sizes <= _FEW, sizes)
    shared = np.zeros((count, count), np.int64)
    shared += _pairs(texts[is_rare], unit[is_rare], count)
    shared += _products(texts[~is_rare], unit[~is_rare], count)
    return shared


def _units(tokens: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """The texts of all units, and the units, in the order of the units.

    A unit is a token and how often its text has held it before.
    """
    texts = np.repeat(np.arange(len(tokens)), [len(of_text) for of_text in tokens])
    token = np.concatenate(tokens)
    order = np.lexsort((texts, token))
    texts, token = texts[order], token[order]
    is_first = (np.diff(token, prepend=-1) != 0) | (np.diff(texts, prepend=-1) != 0)
    place = np.arange(len(token))
    earlier = place - np.maximum.accumulate(np.where(is_first, place, 0))
    order = np.lexsort((earlier, token))
    texts, token, earlier = texts[order], token[order], earlier[order]
    is_new = (np.diff(token, prepend=-1) != 0) | (np.diff(earlier, prepend=-1) != 0)
    return texts, np.cumsum(is_new)


def _pairs(texts: Numbers, unit: Numbers, count: int) -> Numbers:
    """[A, A] for each two texts, how many of these units, held by few texts each, both hold."""
    shared = np.zeros(count * count, np.int64)
    for distance in range(1, _FEW):
        both = unit[distance:] == unit[:-distance]
        place = texts[:-distance][both] * count + texts[distance:][both]
        shared += np.bincount(place, minlength=count * count)
    table = shared.reshape(count, count)
    return table + table.T


def _products(texts: Numbers, unit: Numbers, count: int) -> Numbers:
    """[A, A] for each two texts, how many of these units both hold."""
    shared = np.zeros((count, count), np.int64)
    number = np.cumsum(np.diff(unit, prepend=-1) != 0) - 1
    for start in range(0, int(number[-1]) + 1 if len(number) else 0, _BLOCK):
        first, last = np.searchsorted(number, (start, start + _BLOCK))
        holds = np.zeros((count, _BLOCK), np.float32)
        holds[texts[first:last], number[first:last] - start] = 1.0
        shared += (holds @ holds.T).astype(np.int64)  # exact: at most 4,096
    return shared
