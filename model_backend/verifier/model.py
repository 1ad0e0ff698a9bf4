"""The model of a verifier: a causal language model with a scalar head in place of its output.

It is read and written as transformers does, so that vLLM serves it, too. torch and transformers are
imported inside the functions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbest.model_backend.models.names import resolve_model
from nbest.model_backend.reward.reading import READING_FILE
from nbest.model_backend.reward.torch_model import apply_head
from nbest.orchestrator.errors import InputError, first_line

if TYPE_CHECKING:
    import torch

HEAD_STD = 0.01  # of the head's first weights: small, so that its first scores are near 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierModel:
    """A model with a scalar head, its tokenizer and its device."""

    model: Any  # a transformers model for sequence classification
    tokenizer: Any
    device: str

    def rewards(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return the raw score of each text [B] in float32, read at its last token.

        transformers would read it at the last token that is no padding, but a chat may end with
        the token that pads.
        """
        import torch

        lengths = [len(text_ids) for text_ids in ids]
        padded = torch.zeros(len(ids), max(lengths), dtype=torch.long)
        mask = torch.zeros(len(ids), max(lengths), dtype=torch.long)
        for row, text_ids in enumerate(ids):
            padded[row, : len(text_ids)] = torch.tensor(text_ids)
            mask[row, : len(text_ids)] = 1
        body = self.model.get_submodule(self.model.base_model_prefix)
        states = body(
            input_ids=padded.to(self.device), attention_mask=mask.to(self.device), use_cache=False
        ).last_hidden_state
        last = states[torch.arange(len(ids)), torch.tensor(lengths) - 1]
        with torch.autocast(self.device, enabled=False):
            return apply_head(self.model.score, last).squeeze(-1)


def load_base(name: str, seed: int) -> VerifierModel:
    """Load a causal language model with a new head; InputError says what is wrong with it."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    path = resolve_model(name)
    _silence_transformers()
    try:
        config = AutoConfig.from_pretrained(path)
        _require_causal(name, config)
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=1, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"base {name!r} cannot be trained: {first_line(error)}") from error
    _require_vocabulary(name, len(tokenizer), int(config.get_text_config().vocab_size))
    pad = tokenizer.pad_token_id
    model.config.pad_token_id = tokenizer.eos_token_id if pad is None else pad
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        weight = torch.empty(model.score.weight.shape).normal_(std=HEAD_STD, generator=generator)
        model.score.weight.copy_(weight)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return VerifierModel(model=model.to(device), tokenizer=tokenizer, device=device)


def freeze(verifier: VerifierModel, layers: int) -> None:
    """Exclude the lowest layers and the embeddings from training."""
    if not layers:
        return
    body = verifier.model.get_submodule(verifier.model.base_model_prefix)
    num_layers = len(body.layers)
    if layers > num_layers:
        raise InputError(f"frozen_layers must be at most {num_layers} for this base, got {layers}")
    for part in (body.get_input_embeddings(), *body.layers[:layers]):
        part.requires_grad_(False)


def write_verifier(verifier: VerifierModel, folder: Path, question_after: str) -> None:
    """Write the model into a folder, so that transformers and vLLM load it."""
    import torch

    # As it will be served: engines would round it when they load it, or run at half the speed.
    verifier.model.to(torch.bfloat16).save_pretrained(folder)
    verifier.tokenizer.save_pretrained(folder)
    reading = json.dumps({"question_after": question_after}, indent=2)
    (folder / READING_FILE).write_text(reading + "\n", encoding="utf-8")


def _silence_transformers() -> None:
    """Keep transformers from reporting on standard error that the head is new: it should be."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _require_causal(name: str, config: Any) -> None:
    kinds = tuple(config.architectures or ())
    if not any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in kinds):
        rule = "be a causal language model"
        raise InputError(f"base must {rule}, got {name!r} with {', '.join(kinds) or 'no'} head")


def _require_vocabulary(name: str, tokens: int, embeddings: int) -> None:
    if tokens > embeddings:
        rule = f"have a tokenizer of at most {embeddings} tokens, as many as it has embeddings"
        raise InputError(f"base must {rule}, got {name!r} with {tokens}")
