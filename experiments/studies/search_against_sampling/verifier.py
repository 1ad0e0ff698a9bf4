"""A process model of one's own: trained on other questions, and measured before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from nbest.experiments.bench.search.closed_forms import greedy_by_binary
from nbest.experiments.studies.search_against_sampling.scores import Quality
from nbest.experiments.studies.search_against_sampling.sums import MARK, gold_of
from nbest.experiments.training.command import shown_learning
from nbest.experiments.training.report import card
from nbest.model_backend.reward.torch_settings import TorchReward
from nbest.model_backend.verifier.data import Graded
from nbest.model_backend.verifier.settings import VerifierSettings
from nbest.model_backend.verifier.train import train_verifier
from nbest.orchestrator.query.selection import read_answers
from nbest.orchestrator.types import Query, Selection
from nbest.scorers.answers.extract import LastNumber
from nbest.scorers.judges.reward import RewardModel

SETTINGS = VerifierSettings(
    "smollm2-135m",
    epochs=2,
    learning_rate=1e-4,
    frozen_layers=24,
    question_after=MARK,
)


def examples_of(answered: Sequence[tuple[Query, Selection]]) -> list[Graded]:
    """Make an example of every prefix of every chain, by whether it ends in the right answer."""
    examples = []
    for query, selection in answered:
        read = read_answers(selection.samples, LastNumber())
        for sample, answer in zip(read.samples, read.answers, strict=True):
            if answer is None:
                continue
            for prefix in accumulate(sample.text.splitlines(keepends=True)):
                example = Graded(
                    question=query.id,
                    prompt=query.prompt,
                    response=prefix,
                    is_right=answer == gold_of(query),
                )
                examples.append(example)
    return examples


def is_trained(folder: Path) -> bool:
    """Whether the folder holds a verifier already."""
    return folder.exists()


def trained(examples: Sequence[Graded], folder: Path) -> RewardModel:
    """Train a verifier into a folder, or take the one that is there, as a score from 0 to 1."""
    if not is_trained(folder):
        train_verifier(
            examples,
            SETTINGS,
            folder,
            report=shown_learning(),
            describe=lambda verifier: card(verifier, []),
        )
    return RewardModel(TorchReward(str(folder), dtype="float32"), scale="sigmoid")


def foretold(quality: Quality, depth: int, width: int) -> float:
    """How often the best of `width` steps at each place leads to a right answer, by its quality."""
    return greedy_by_binary(quality.p, depth, width, quality.a, quality.b)
