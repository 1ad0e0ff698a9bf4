"""A reward model as transformers loads it: ids in, numbers out, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.reward.reading import Input, Reading, question_after
from nbest.model_backend.reward.steps import Steps
from nbest.orchestrator.errors import InputError, RequestRejected, first_line
from nbest.orchestrator.types import Request

if TYPE_CHECKING:
    import torch


class ReaderOptions(Protocol):
    """What is read here of the settings of a reward model; `TorchReward` says what each means."""

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
class Reader:
    """A loaded model and how it reads."""

    model: Any  # of transformers, with a head for sequences or for tokens
    tokenizer: Any
    reading: Reading
    device: str

    def input_of(self, request: Request) -> Input:
        return self.reading.input_of(self.tokenizer, request)

    def numbers(self, inputs: Sequence[Input]) -> list[list[float]]:
        """[B] the numbers of each, from one pass: the raw score, or a probability a step.

        The score is read at the last token itself: where transformers looks for the last that is no
        padding, a text that ends with the token that pads would be read elsewhere.
        """
        import torch

        longest = max(len(each.ids) for each in inputs)
        padded = torch.zeros(len(inputs), longest, dtype=torch.long)
        mask = torch.zeros(len(inputs), longest, dtype=torch.long)
        for row, each in enumerate(inputs):
            padded[row, : len(each.ids)] = torch.tensor(each.ids)
            mask[row, : len(each.ids)] = 1
        with torch.inference_mode():
            body = self.model.get_submodule(self.model.base_model_prefix)
            states = body(
                input_ids=padded.to(self.device),
                attention_mask=mask.to(self.device),
                use_cache=False,
            ).last_hidden_state
            return [self._read(states[row], each) for row, each in enumerate(inputs)]

    def _read(self, states: torch.Tensor, each: Input) -> list[float]:
        if self.reading.steps is None or each.places is None:
            score = head(self.model.score, states[len(each.ids) - 1]).reshape(-1)
            if len(score) != 1:
                raise RequestRejected(f"an outcome model must have 1 label, got {len(score)}")
            return [score.item()]
        labels = head(self.model.score, states[list(each.places)])
        # One label is a logit of its own, several share the probability.
        shares = labels.sigmoid() if labels.shape[-1] == 1 else labels.softmax(-1)
        steps: list[float] = shares[:, self.reading.steps.label].tolist()
        return steps


def head(layer: Any, states: torch.Tensor) -> torch.Tensor:
    """What the last layer makes of states, in float32 as vLLM has it.

    In the half precision of the model, a score of 16 would be known to an eighth.
    """
    from torch.nn.functional import linear

    bias = None if layer.bias is None else layer.bias.float()
    found: torch.Tensor = linear(states.float(), layer.weight.float(), bias)
    return found


def load_reader(settings: ReaderOptions) -> Reader:
    """Load the model; InputError says what is wrong with it."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    path = resolve_model(settings.model)
    kind = AutoModelForTokenClassification if settings.steps else AutoModelForSequenceClassification
    given = {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **given)
        model, report = kind.from_pretrained(
            path, dtype=settings.dtype, output_loading_info=True, **given
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
    reading = Reading(
        steps=settings.steps,
        question_after=question_after(path, settings.question_after),
        max_tokens=longest,
    )
    return Reader(
        model=model.to(device).eval(), tokenizer=tokenizer, reading=reading, device=device
    )
