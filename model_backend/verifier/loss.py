"""The two losses of a verifier, and the weights of the examples in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbest.model_backend.verifier.data import Example, Graded
from nbest.model_backend.verifier.settings import Balance

if TYPE_CHECKING:
    import torch

    from nbest.model_backend.verifier.model import VerifierModel

Ids = tuple[tuple[int, ...], ...]
"""The inputs of one example: one of a graded response; a chosen and a rejected one."""


def scores_of(verifier: VerifierModel, inputs: Sequence[Ids]) -> list[torch.Tensor]:
    """Return the raw scores of each example, [1] or [2], from one pass of the model."""
    flat = [ids for example in inputs for ids in example]
    return list(verifier.rewards(flat).split([len(example) for example in inputs]))


def losses_of(
    scores: Sequence[torch.Tensor], examples: Sequence[Example], weights: Sequence[float]
) -> torch.Tensor:
    """Return the weighted loss of each example [B], in nats.

    For a graded response it is the cross-entropy of its verdict, for a preference -log sigmoid of
    how much higher the chosen one scores (Ouyang et al. 2022, arXiv 2203.02155, equation 1).
    """
    import torch
    from torch.nn.functional import softplus

    margins = [
        (score[0] if example.is_right else -score[0])
        if isinstance(example, Graded)
        else score[0] - score[1]
        for score, example in zip(scores, examples, strict=True)
    ]
    stacked = torch.stack(margins)
    # -log sigmoid(x) is softplus(-x): for both losses alike.
    return softplus(-stacked) * torch.tensor(list(weights), device=stacked.device)


def class_weights(examples: Sequence[Example], balance: Balance) -> list[float]:
    """Return weights [N]: all 1, or, balanced, half of N for right and half for wrong responses."""
    verdicts = [isinstance(example, Graded) and example.is_right for example in examples]
    is_graded = all(isinstance(example, Graded) for example in examples)
    if balance == "none" or not is_graded:
        return [1.0] * len(examples)
    right = sum(verdicts)
    half = len(examples) / 2
    return [half / right if v else half / (len(examples) - right) for v in verdicts]
