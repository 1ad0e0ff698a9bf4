"""Trains a verifier from examples and writes it into a folder, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbest.model_backend.verifier.data import Example, Split, distinct_examples, split_by_question
from nbest.model_backend.verifier.model import load_base, write_verifier
from nbest.model_backend.verifier.settings import VerifierSettings
from nbest.model_backend.verifier.training import (
    Training,
    TrainingProgress,
    TrainingResult,
    training_digest,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import whole_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedVerifier:
    """A training that came to its end."""

    settings: VerifierSettings
    split: Split
    result: TrainingResult

    @property
    def digest(self) -> str:
        """What tells this training from others: its settings and its examples."""
        return training_digest(self.settings, self.split)


Describe = Callable[[TrainedVerifier], Mapping[str, str]]
"""Returns what else belongs into the folder: texts by file name."""


def split_of(examples: Sequence[Example], settings: VerifierSettings) -> Split:
    """The different examples in two parts: to train on, and held out."""
    return split_by_question(distinct_examples(examples), settings.holdout, settings.seed)


def train_verifier(
    examples: Sequence[Example],
    settings: VerifierSettings,
    out: Path,
    *,
    report: Callable[[TrainingProgress], None],
    describe: Describe,
) -> TrainedVerifier:
    """Train on these examples and write the verifier to `out`, a new folder.

    A training that was interrupted goes on from its last evaluation. InputError where it cannot be
    trained; then nothing is written but, at most, a checkpoint beside `out`.
    """
    import torch

    if out.exists():
        raise InputError(f"out must be a new folder, got {str(out)!r}")
    split = split_of(examples, settings)
    torch.manual_seed(settings.seed)
    verifier = load_base(settings.base, settings.seed)
    folder = out.with_name(f".{out.name}.training")
    training = Training(
        settings=settings, verifier=verifier, split=split, folder=folder, report=report
    )
    trained = TrainedVerifier(settings=settings, split=split, result=training.run())
    with whole_folder(out) as unfinished:
        write_verifier(verifier, unfinished, settings.question_after)
        for name, text in describe(trained).items():
            (unfinished / name).write_text(text, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return trained
