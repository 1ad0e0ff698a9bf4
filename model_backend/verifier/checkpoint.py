"""Keeps the state of a training on disk: tensors as safetensors, the rest as JSON, never a pickle.

A checkpoint is a folder that is written under another name and then put in its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbest.orchestrator.files import whole_folder

if TYPE_CHECKING:
    import torch

TENSORS, STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointState:
    """How far a training has come, without its tensors."""

    training: str  # digest of its settings and examples: another training begins anew
    step: int  # of the optimiser, all epochs together
    losses: tuple[float, ...]  # held out, one an evaluation
    best: int | None  # the evaluation with the lowest one


def save(folder: Path, state: CheckpointState, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a checkpoint; the one that was there before stays until this one is whole."""
    from safetensors.torch import save_file

    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with whole_folder(folder) as unfinished:
        save_file(contiguous, unfinished / TENSORS)
        (unfinished / STATE).write_text(json.dumps(asdict(state)), encoding="utf-8")


def load(folder: Path, training: str) -> tuple[CheckpointState, dict[str, torch.Tensor]] | None:
    """Read a checkpoint; None where there is none, or one of another training."""
    from safetensors.torch import load_file

    try:
        raw: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if raw.get("training") != training:
        return None
    raw["losses"] = tuple(raw["losses"])
    return CheckpointState(**raw), load_file(folder / TENSORS)
