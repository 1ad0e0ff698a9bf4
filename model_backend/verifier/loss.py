"""The two losses of a verifier, and what weighs how much in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbest.model_backend.verifier.data import Example, Graded
from nbest.model_backend.verifier.settings import Balance

if TYPE_CHECKING:
    import torch

    from nbest.model_backend.verifier.model import VerifierModel

Ids = tuple[tuple[int, ...], ...]
"""The inputs of one example: that of a graded response, or of the chosen and the rejected one."""


def scores_of(verifier: VerifierModel, inputs: Sequence[Ids]) -> list[torch.Tensor]:
    """The raw scores of each example, [1] or [2], from one pass through the model."""
    flat = [ids for example in inputs for ids in example]
    return list(verifier.rewards(flat).split([len(example) for example in inputs]))


def losses_of(
    scores: Sequence[torch.Tensor], examples: Sequence[Example], weights: Sequence[float]
) -> torch.Tensor:
    """[B] the weighted loss of each example, in nats.

    Of a graded response the cross-entropy of its verdict; of a preference -log sigmoid of how much
    higher the chosen one scores (Ouyang et al. 2022, arXiv 2203.02155, equation 1).
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
    """[N] 1 each; balanced, right and wrong responses weigh half of N each."""
    verdicts = [isinstance(each, Graded) and each.is_right for each in examples]
    is_graded = all(isinstance(each, Graded) for each in examples)
    if balance == "none" or not is_graded:
        return [1.0] * len(examples)
    right = sum(verdicts)
    half = len(examples) / 2
    return [half / right if v else half / (len(examples) - right) for v in verdicts]
