"""Loads a reward model by transformers, and runs it: ids in, numbers out, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.reward.reading import InputFormat, RewardInput, read_question_after
from nbest.model_backend.reward.steps import Steps
from nbest.orchestrator.errors import InputError, RequestRejected, first_line
from nbest.orchestrator.types import Request

if TYPE_CHECKING:
    import torch


class ModelOptions(Protocol):
    """The settings of a reward model that are used here; `TorchReward` explains each."""

    @property
    def model(self) -> str: ...

    @property
    def steps(self) -> Steps | None: ...

    @property
    def dtype(self) -> str: ...

    @property
    def max_model_len(self) -> int | None: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def trust_remote_code(self) -> bool: ...

    @property
    def question_after(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A reward model in memory, its tokenizer and the format of its input."""

    model: Any  # a transformers model with a head for sequences or for tokens
    tokenizer: Any
    input_format: InputFormat
    device: str

    def input_of(self, request: Request) -> RewardInput:
        return self.input_format.input_of(self.tokenizer, request)

    def numbers(self, inputs: Sequence[RewardInput]) -> list[list[float]]:
        """Return the numbers of each input [B]: the raw score, or a probability per step.

        The score is read at the last token itself. transformers reads it at the last token that is
        no padding, which is elsewhere where a text ends with the token that pads.
        """
        import torch

        longest = max(len(model_input.ids) for model_input in inputs)
        padded = torch.zeros(len(inputs), longest, dtype=torch.long)
        mask = torch.zeros(len(inputs), longest, dtype=torch.long)
        for row, model_input in enumerate(inputs):
            padded[row, : len(model_input.ids)] = torch.tensor(model_input.ids)
            mask[row, : len(model_input.ids)] = 1
        with torch.inference_mode():
            body = self.model.get_submodule(self.model.base_model_prefix)
            states = body(
                input_ids=padded.to(self.device),
                attention_mask=mask.to(self.device),
                use_cache=False,
            ).last_hidden_state
            return [self._numbers_in(states[row], inputs[row]) for row in range(len(inputs))]

    def _numbers_in(self, states: torch.Tensor, model_input: RewardInput) -> list[float]:
        if self.input_format.steps is None or model_input.places is None:
            score = apply_head(self.model.score, states[len(model_input.ids) - 1]).reshape(-1)
            if len(score) != 1:
                raise RequestRejected(f"an outcome model must have 1 label, got {len(score)}")
            return [score.item()]
        labels = apply_head(self.model.score, states[list(model_input.places)])
        # One label is a logit of its own, several share the probability.
        shares = labels.sigmoid() if labels.shape[-1] == 1 else labels.softmax(-1)
        steps: list[float] = shares[:, self.input_format.steps.label].tolist()
        return steps


def apply_head(layer: Any, states: torch.Tensor) -> torch.Tensor:
    """Apply the last layer to states, in float32 as vLLM does.

    In the half precision of the model, a score of 16 would be exact to an eighth only.
    """
    from torch.nn.functional import linear

    bias = None if layer.bias is None else layer.bias.float()
    scores: torch.Tensor = linear(states.float(), layer.weight.float(), bias)
    return scores


def load_model(settings: ModelOptions) -> LoadedModel:
    """Load the model; InputError says what is wrong with it."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    path = resolve_model(settings.model)
    kind = AutoModelForTokenClassification if settings.steps else AutoModelForSequenceClassification
    options = {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        model, report = kind.from_pretrained(
            path, dtype=settings.dtype, output_loading_info=True, **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"model {settings.model!r} cannot be loaded: {first_line(error)}"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing or not hasattr(model, "score"):
        rule = "be a reward model with a head named score"
        raise InputError(f"model must {rule}, got {settings.model!r} without {missing[:1]}")
    longest = settings.max_model_len or int(model.config.max_position_embeddings)
    input_format = InputFormat(
        steps=settings.steps,
        question_after=read_question_after(path, settings.question_after),
        max_tokens=longest,
    )
    return LoadedModel(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        input_format=input_format,
        device=device,
    )
