"""A causal language model that fits into a test: two layers, 32 wide, words for tokens."""

from __future__ import annotations

import string
from pathlib import Path

WORDS = ("<unk>", "<pad>", "<eos>", *string.ascii_lowercase, *string.digits, "+", "=", "?")


def write_tiny_model(folder: Path, *, head: str = "causal", extra_words: int = 0) -> Path:
    """Write weights that are always the same, and a tokenizer that splits at white space."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel, PreTrainedTokenizerFast

    words = (*WORDS, *(f"word{i}" for i in range(extra_words)))
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>"
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    kind = LlamaForCausalLM if head == "causal" else LlamaModel
    kind(config).save_pretrained(folder)
    return folder
