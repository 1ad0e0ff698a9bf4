"""The settings of a verifier's training."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from nbest.orchestrator.requirements import require

Objective = Literal["outcome", "bradley_terry"]
Balance = Literal["classes", "none"]


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """A scalar head on a causal language model, and how both are trained.

    `outcome` learns from responses that are known to be right or wrong: binary cross-entropy at the
    last token (Cobbe et al. 2021, arXiv 2110.14168, section 4, there a squared error at every
    token). `bradley_terry` learns from pairs of a better and a worse response to one question:
    -log sigmoid of the difference (Ouyang et al. 2022, arXiv 2203.02155, equation 1).

    Example: `VerifierSettings("smollm2-135m", epochs=2, frozen_layers=10)`
    """

    base: str  # "smollm2-135m", a folder, or a hub id: any causal language model
    _: KW_ONLY
    objective: Objective = "outcome"
    epochs: int = 2
    batch_size: int = 32  # texts, or pairs, in one step of the optimiser
    micro_batch_tokens: int = 4096  # at once on the device: gradients add up over these
    learning_rate: float = 5e-5  # at its highest; it rises for a tenth of the steps, then falls
    weight_decay: float = 0.01
    frozen_layers: int = 0  # the lowest, and then the embeddings too
    balance: Balance = "classes"  # classes: right and wrong weigh the same together
    holdout: float = 0.2  # share of the questions that are not trained on
    evaluations: int = 4  # of the held-out questions, in each epoch
    patience: int = 4  # evaluations without a better loss after which it stops
    max_tokens: int = 1024  # of question and response; longer ones lose the response's start
    mixed_precision: bool | None = None  # bfloat16 where it is safe; None: on a GPU only
    question_after: str = ""  # a raw prompt is read from the end of its last such text
    seed: int = 0

    def __post_init__(self) -> None:
        rule = "be outcome or bradley_terry"
        require(self.objective in ("outcome", "bradley_terry"), "objective", rule, self.objective)
        require(self.balance in ("classes", "none"), "balance", "be classes or none", self.balance)
        for key in ("epochs", "batch_size", "micro_batch_tokens", "evaluations", "patience"):
            require(getattr(self, key) >= 1, key, "be at least 1", getattr(self, key))
        require(0 < self.learning_rate < 1, "learning_rate", "lie in (0, 1)", self.learning_rate)
        require(self.weight_decay >= 0, "weight_decay", "be 0 or more", self.weight_decay)
        require(self.frozen_layers >= 0, "frozen_layers", "be 0 or more", self.frozen_layers)
        require(0 < self.holdout < 1, "holdout", "lie in (0, 1)", self.holdout)
        require(self.max_tokens >= 16, "max_tokens", "be at least 16", self.max_tokens)
