"""The different candidates: what a model has to be asked about once each.

They come in the order of a hash of their content, so nothing that is done with them in that order
depends on the order of the candidates. This module asks no model.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nbest.orchestrator.types import Candidates, Sample, Scores

By = Literal["text", "answer"]
"""What makes two candidates different: their texts, or the answers read in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """D different candidates, among N."""

    texts: tuple[str, ...]  # [D] what a model is shown
    places: tuple[int | None, ...]  # [N] which of them each candidate is; None: it has no answer
    counts: tuple[int, ...]  # [D] how many candidates each one stands for

    @property
    def characters(self) -> int:
        """How many characters the texts have together."""
        return sum(map(len, self.texts))

    def spread(self, scores_D: Scores) -> Scores:
        """[N] the score of each candidate, from those of the different ones; nan without answer."""
        scores = [np.nan if place is None else scores_D[place] for place in self.places]
        return np.array(scores, np.float64)


def distinct(candidates: Candidates, by: By = "text", reads_reasoning: bool = False) -> Distinct:
    """The different candidates that have an answer; what the model thought is shown if asked for.

    By answer, one text stands for all that give it: the one whose hash is lowest, whichever came
    first.
    """
    texts = [storable(_shown(sample, reads_reasoning)) for sample in candidates.samples]
    keys = texts if by == "text" else candidates.answers
    ranks = {text: content_hash(text) for text in texts}
    shown: dict[str, str] = {}  # text by key
    counts: dict[str, int] = {}
    for key, text, answer in zip(keys, texts, candidates.answers, strict=True):
        if key is not None and answer is not None:
            shown[key] = min(shown.get(key, text), text, key=ranks.__getitem__)
            counts[key] = counts.get(key, 0) + 1
    order = sorted(shown, key=lambda key: (ranks[shown[key]], key))
    place_of = {key: place for place, key in enumerate(order)}
    pairs = zip(keys, candidates.answers, strict=True)
    return Distinct(
        texts=tuple(shown[key] for key in order),
        places=tuple(place_of[k] if k is not None and a is not None else None for k, a in pairs),
        counts=tuple(counts[key] for key in order),
    )


def _shown(sample: Sample, reads_reasoning: bool) -> str:
    if not reads_reasoning or not sample.reasoning:
        return sample.text
    return f"{sample.reasoning}\n\n{sample.text}"


def storable(text: str) -> str:
    """The text as a store keeps it, with lone halves of surrogate pairs replaced.

    A judge that reads what comes from the store must be asked the same as one that reads what comes
    from the model.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def content_hash(*texts: str) -> str:
    """32 hexadecimal digits of what the texts say; ("a", "bc") and ("ab", "c") differ."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()
