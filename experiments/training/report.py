"""Reports how good a verifier is on questions that it has not seen: numbers, and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nbest.model_backend.verifier.data import Example, Graded, Split
from nbest.model_backend.verifier.settings import VerifierSettings
from nbest.model_backend.verifier.train import TrainedVerifier
from nbest.model_backend.verifier.training import training_digest
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.files import StrPath, run_name
from nbest.orchestrator.store.format.manifest import differences
from nbest.scorers.estimators.risk_coverage import auroc
from nbest.scorers.judges.reward import sigmoid

BINS = 10
METRICS = "metrics.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Responses to which the verifier gives about the same probability of being right."""

    low: float
    high: float
    count: int
    predicted: float  # mean probability
    right: float  # share that is right


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good a verifier is on held-out questions."""

    accuracy: float  # at probability 1/2; of preferences, the share of pairs in the right order
    auroc: float  # 0.5 is chance
    calibration_error: float  # expected calibration error, ten bins; nan for preferences
    bins: tuple[Bin, ...]


def quality(trained: TrainedVerifier) -> Quality:
    """Measure a trained verifier on its held-out questions."""
    examples, rewards = trained.split.held_out, trained.result.rewards
    if not isinstance(examples[0], Graded):
        ordered = [chosen > rejected for chosen, rejected in rewards]
        flat = [reward for pair in rewards for reward in pair]
        is_chosen = [place == 0 for pair in rewards for place in range(len(pair))]
        mean = float(np.mean(ordered))
        return Quality(
            accuracy=mean, auroc=auroc(flat, is_chosen), calibration_error=float("nan"), bins=()
        )
    right = [isinstance(example, Graded) and example.is_right for example in examples]
    raw = [reward[0] for reward in rewards]
    bins = reliability([sigmoid(reward) for reward in raw], right)
    error = sum(b.count * abs(b.predicted - b.right) for b in bins) / len(raw)
    return Quality(
        accuracy=float(np.mean((np.array(raw) > 0) == np.array(right))),
        auroc=auroc(raw, right),
        calibration_error=error,
        bins=bins,
    )


def reliability(probabilities: Sequence[float], is_right: Sequence[bool]) -> tuple[Bin, ...]:
    """The bins that hold anything, lowest first (Guo et al. 2017, arXiv 1706.04599, section 2)."""
    p, right = np.asarray(probabilities), np.asarray(is_right, np.float64)
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            low=k / BINS,
            high=(k + 1) / BINS,
            count=int(np.sum(place == k)),
            predicted=float(p[place == k].mean()),
            right=float(right[place == k].mean()),
        )
        for k in range(BINS)
        if np.any(place == k)
    )


def as_document(trained: TrainedVerifier) -> dict[str, object]:
    """The settings, counts and numbers of a training, for JSON."""
    held_out = quality(trained)
    return {
        "settings": asdict(trained.settings),
        "train": _counts(trained.split.train),
        "held_out": _counts(trained.split.held_out)
        | {
            "accuracy": held_out.accuracy,
            "auroc": _or_none(held_out.auroc),
            "calibration_error": _or_none(held_out.calibration_error),
        },
        "bins": [asdict(b) for b in held_out.bins],
        "losses": trained.result.losses,
        "best_evaluation": trained.result.best,
        "steps": trained.result.steps,
        "seconds": trained.result.seconds,
        "training": trained.digest,
    }


def finished_document(
    out: Path, settings: VerifierSettings, split: Split
) -> dict[str, object] | None:
    """The document of this training, where it has ended and left its verifier in `out`.

    None where there is no such folder; InputError where it holds anything else.
    """
    if not out.exists():
        return None
    rule = "out must be a new folder, or that of the same training"
    try:
        document: dict[str, object] = json.loads((out / METRICS).read_text(encoding="utf-8"))
        stored = document["settings"]
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(f"{rule}, got {str(out)!r}") from None
    if document.get("training") == training_digest(settings, split):
        return document
    now = json.loads(json.dumps(asdict(settings), default=str))
    changes = differences(stored if isinstance(stored, dict) else {}, now)
    what = "; ".join(changes) or "its examples are others"
    raise InputError(f"{rule}, got {str(out)!r}: {what}")


def card(trained: TrainedVerifier, runs: Sequence[StrPath]) -> Mapping[str, str]:
    """The files that describe the verifier, for its folder."""
    document = as_document(trained)
    text = json.dumps(document, indent=2, default=str)
    return {METRICS: text + "\n", "README.md": _markdown(trained, runs)}


def _markdown(trained: TrainedVerifier, runs: Sequence[StrPath]) -> str:
    settings = trained.settings
    probability = " Its sigmoid is a probability." if settings.objective == "outcome" else ""
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-classification",
        "tags: [reward-model, verifier, nbest]",
        "---",
        "# A verifier, trained by `nbest train-verifier`",
        "",
        f"A scalar head on `{settings.base}`. It reads a question and a response, and gives one",
        f"raw number; the higher, the likelier the response is right.{probability}",
        "",
        "Serve it: `--select 'reward(model=\"FOLDER\")'`.",
        f"Data: {', '.join(run_name(run) for run in runs)}.",
        "",
        *_split_lines(trained),
        *_quality_lines(quality(trained), settings.balance == "classes"),
        "",
        "Settings:",
        "",
        "```",
        repr(settings),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _split_lines(trained: TrainedVerifier) -> list[str]:
    sides = {"trained on": trained.split.train, "held out": trained.split.held_out}
    counts = {name: _counts(examples) for name, examples in sides.items()}
    return [
        "| | questions | examples | right |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {row['questions']} | {row['examples']} | {row['right'] or '-'} |"
            for name, row in counts.items()
        ),
        "",
        "No question is on both sides; every different response counts once. On the held-out ones:",
        "",
    ]


def _quality_lines(held_out: Quality, is_balanced: bool) -> list[str]:
    lines = [f"- accuracy {held_out.accuracy:.3f}", f"- AUROC {held_out.auroc:.3f}"]
    if not held_out.bins:
        return lines
    lines += [
        f"- expected calibration error {held_out.calibration_error:.3f}",
        "",
        "| probability | responses | mean probability | share right |",
        "| --- | --- | --- | --- |",
        *(
            f"| {b.low:.1f} to {b.high:.1f} | {b.count} | {b.predicted:.3f} | {b.right:.3f} |"
            for b in held_out.bins
        ),
    ]
    if is_balanced:
        lines += ["", "Right and wrong responses weighed the same in training: where one is rare,"]
        lines += ["the probabilities lean towards it."]
    return lines


def _or_none(number: float) -> float | None:
    return None if np.isnan(number) else number


def _counts(examples: Sequence[Example]) -> dict[str, object]:
    is_right = [example.is_right for example in examples if isinstance(example, Graded)]
    return {
        "questions": len({example.question for example in examples}),
        "examples": len(examples),
        "right": sum(is_right) if is_right else None,
    }
