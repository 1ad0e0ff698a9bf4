"""The model of a verifier: a causal language model with a scalar head in the place of its words.

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
from nbest.model_backend.reward.reading import READING
from nbest.model_backend.reward.torch_model import head
from nbest.orchestrator.errors import InputError, first_line

if TYPE_CHECKING:
    import torch

HEAD_STD = 0.01  # of the head's first weights: it begins by saying nearly nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierModel:
    """A model with a head, its tokenizer and the device that it is on."""

    model: Any  # a transformers model for sequence classification
    tokenizer: Any
    device: str

    def rewards(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """[B] the raw score of each, float32, read at its last token.

        Not where transformers would look for it, at the last token that is no padding: a chat may
        well end with the token that pads.
        """
        import torch

        lengths = [len(each) for each in ids]
        padded = torch.zeros(len(ids), max(lengths), dtype=torch.long)
        mask = torch.zeros(len(ids), max(lengths), dtype=torch.long)
        for row, each in enumerate(ids):
            padded[row, : len(each)] = torch.tensor(each)
            mask[row, : len(each)] = 1
        body = self.model.get_submodule(self.model.base_model_prefix)
        states = body(
            input_ids=padded.to(self.device), attention_mask=mask.to(self.device), use_cache=False
        ).last_hidden_state
        last = states[torch.arange(len(ids)), torch.tensor(lengths) - 1]
        with torch.autocast(self.device, enabled=False):
            return head(self.model.score, last).squeeze(-1)


def load_base(name: str, seed: int) -> VerifierModel:
    """A causal language model with a new head; InputError says what is wrong with it."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    path = resolve_model(name)
    _keep_quiet()
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
        made = torch.Generator().manual_seed(seed)
        head = torch.empty(model.score.weight.shape).normal_(std=HEAD_STD, generator=made)
        model.score.weight.copy_(head)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return VerifierModel(model=model.to(device), tokenizer=tokenizer, device=device)


def freeze(verifier: VerifierModel, layers: int) -> None:
    """Leave the lowest layers and the embeddings as they are."""
    if not layers:
        return
    body = verifier.model.get_submodule(verifier.model.base_model_prefix)
    found = len(body.layers)
    if layers > found:
        raise InputError(f"frozen_layers must be at most {found} for this base, got {layers}")
    for part in (body.get_input_embeddings(), *body.layers[:layers]):
        part.requires_grad_(False)


def write_verifier(verifier: VerifierModel, folder: Path, question_after: str) -> None:
    """A folder that transformers and vLLM load."""
    import torch

    # As it will be served: engines would round it when they load it, or run at half the speed.
    verifier.model.to(torch.bfloat16).save_pretrained(folder)
    verifier.tokenizer.save_pretrained(folder)
    reading = json.dumps({"question_after": question_after}, indent=2)
    (folder / READING).write_text(reading + "\n", encoding="utf-8")


def _keep_quiet() -> None:
    """Transformers would report on standard error that the head is new, as it should be."""
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
