"""Turns a request into the input of a reward model: token ids, and where its numbers are read.

The file that `nbest train-verifier` writes beside a model says how the model was trained to be
asked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nbest.model_backend.reward.steps import Steps, process_ids
from nbest.model_backend.reward.text import Tokenizer, reward_ids
from nbest.orchestrator.errors import InputError, RequestRejected
from nbest.orchestrator.types import Request

READING_FILE = "nbest.json"  # beside the weights of a model: how it is to be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardInput:
    """The input of a reward model for one request."""

    ids: tuple[int, ...]  # [T]
    places: tuple[int, ...] | None  # [S] where a process model's numbers are read
    is_cut: bool  # the start of the response is missing, because it was too long


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFormat:
    """The format of one reward model's input."""

    steps: Steps | None
    question_after: str
    max_tokens: int

    def input_of(self, tokenizer: Tokenizer, request: Request) -> RewardInput:
        """Return the input; RequestRejected where there is nothing to rate, or it does not fit."""
        if request.response is None:
            raise RequestRejected("a reward model generates nothing: the request has no response")
        if self.steps is None:
            outcome = reward_ids(
                tokenizer,
                request.prompt,
                request.response,
                self.max_tokens,
                question_after=self.question_after,
            )
            return RewardInput(ids=outcome.ids, places=None, is_cut=outcome.is_cut)
        process = process_ids(
            tokenizer, request.prompt, request.response, self.steps, self.max_tokens
        )
        return RewardInput(ids=process.ids, places=process.places, is_cut=False)


def read_question_after(path: str, setting: str | None) -> str:
    """Return the setting, or what the folder of the model says where the setting is None."""
    file = Path(path) / READING_FILE
    if setting is not None or not file.is_file():
        return setting or ""
    try:
        question_after = json.loads(file.read_text(encoding="utf-8"))["question_after"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} must hold question_after, got {type(error).__name__}") from error
    return str(question_after)
