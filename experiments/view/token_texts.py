"""The text of each token of a sample: by the model's tokenizer, where it is on this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nbest.model_backend.models.names import SMALL_MODEL, is_local
from nbest.model_backend.models.small_model import cached_model
from nbest.orchestrator.store.reader import RunReader
from nbest.orchestrator.types import Sample

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WORD = re.compile(r"\s*\S+|\s+\Z")


class TokenTexts:
    """Says what tokens say, as far as it is known."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self._tokenizer = tokenizer

    @property
    def is_known(self) -> bool:
        """Whether the text of a token id is known."""
        return self._tokenizer is not None

    def joined(self, token_ids: Sequence[int]) -> str:
        """What these tokens say together."""
        assert self._tokenizer is not None
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=False))

    def of(self, sample: Sample) -> list[str] | None:
        """[T] what each token of a sample says; None where that is not known.

        A token that is a part of a character says nothing, and the last part says all of it.
        """
        ids = sample.token_ids
        if not ids:
            return None
        if self._tokenizer is None:
            return _of_likeliest(sample)
        texts, before = [], ""
        start = 0  # of what is decoded together: a few tokens, for it takes long otherwise
        for end in range(1, len(ids) + 1):
            whole = self.joined(ids[start:end])
            is_open = whole.endswith("\ufffd") and end - start < 8
            texts.append("" if is_open else whole[len(before) :])
            if not is_open:
                # Some tokenizers drop the space before the first token, so one is kept in front.
                start = end - 1
                before = self.joined(ids[start:end])
        return texts


def _of_likeliest(sample: Sample) -> list[str] | None:
    """The texts that came with the likeliest tokens, where every drawn token is among them."""
    top, logprobs = sample.top_logprobs, sample.logprobs
    if top is None or logprobs is None or len(top.texts) != top.k * len(logprobs):
        return None
    texts = []
    for place, (row, drawn) in enumerate(zip(top.array(), logprobs, strict=True)):
        found = [i for i in range(top.k) if abs(float(row[i]) - drawn) < 1e-6]
        if len(found) != 1:
            return None
        texts.append(top.texts[place * top.k + found[0]])
    return texts


def words_of(text: str) -> list[str]:
    """The words of a text, each with the white space before it: together they are the text."""
    return _WORD.findall(text)


def token_texts_of(run: RunReader) -> TokenTexts:
    """The tokenizer of the model of a run, where it is on this machine; nothing is fetched."""
    model = run.manifest.config.get("model")
    name = model.get("model") if isinstance(model, dict) else None
    return TokenTexts(_tokenizer(name) if isinstance(name, str) else None)


@lru_cache(maxsize=8)
def _tokenizer(name: str) -> Tokenizer | None:
    file = _tokenizer_file(name)
    if file is None:
        return None
    try:
        from tokenizers import Tokenizer
    except ImportError:  # it comes with the engines
        return None
    try:
        return Tokenizer.from_file(str(file))
    # The package raises plain exceptions at a file that it cannot read.
    except Exception:  # noqa: BLE001
        return None


def _tokenizer_file(name: str) -> Path | None:
    """The tokenizer file of a model: of a folder, of the small model, or in the hub's cache."""
    if name.lower() == SMALL_MODEL:
        folder = cached_model()
    else:
        folder = Path(name).expanduser() if is_local(name) else None
    if folder is not None:
        file = folder / "tokenizer.json"
        return file if file.is_file() else None
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, "tokenizer.json")
    except (ImportError, ValueError):  # it comes with the engines; no name of a repository
        return None
    return Path(found) if isinstance(found, str) else None
