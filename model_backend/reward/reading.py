"""How a reward model reads a request: which ids, and where its numbers are read.

What `nbest train-verifier` wrote beside a model says how it was trained to be asked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nbest.model_backend.reward.steps import Steps, process_ids
from nbest.model_backend.reward.text import Tokenizer, reward_ids
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.types import Request

READING = "nbest.json"  # how the model is to be asked, beside its weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the model is given for one request."""

    ids: tuple[int, ...]  # [T]
    places: tuple[int, ...] | None  # [S] where a process model's numbers are read
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The way of one model."""

    steps: Steps | None
    question_after: str
    max_tokens: int

    def input_of(self, tokenizer: Tokenizer, request: Request) -> Input:
        """RequestRejected where there is nothing to rate, or it does not fit."""
        if request.response is None:
            raise RequestRejected("a reward model generates nothing: the request has no response")
        if self.steps is None:
            read = reward_ids(
                tokenizer,
                request.prompt,
                request.response,
                self.max_tokens,
                question_after=self.question_after,
            )
            return Input(ids=read.ids, places=None, is_cut=read.is_cut)
        marked = process_ids(
            tokenizer, request.prompt, request.response, self.steps, self.max_tokens
        )
        return Input(ids=marked.ids, places=marked.places, is_cut=False)


def question_after(path: str, given: str | None) -> str:
    """What a setting says, or else the folder of the model."""
    file = Path(path) / READING
    if given is not None or not file.is_file():
        return given or ""
    try:
        written = json.loads(file.read_text(encoding="utf-8"))["question_after"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} must hold question_after, got {type(error).__name__}") from error
    return str(written)
