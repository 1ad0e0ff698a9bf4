"""The models that a strategy wants besides the one that samples: reward models, and their names.

It starts nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from nbest.orchestrator.protocols import BackendConfig
from nbest.orchestrator.types import Identity


def model_key(identity: Identity) -> str:
    """16 hexadecimal digits of the settings that decide what a model says."""
    text = json.dumps(dict(identity), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def models_of(part: object) -> dict[str, BackendConfig]:
    """By key, the models among the settings of a strategy, and of what it is made of.

    A scorer that wants a model has it as a field. The same model twice is one model.
    """
    return {model_key(found.identity): found for found in _found(part)}


def _found(part: object) -> Iterator[BackendConfig]:
    if _is_model(part):
        yield part  # type: ignore[misc]  # it has what the protocol asks for
    elif isinstance(part, tuple):
        for each in part:
            yield from _found(each)
    elif is_dataclass(part):
        for each in fields(part):
            yield from _found(getattr(part, each.name))


def _is_model(part: object) -> bool:
    return hasattr(part, "open") and hasattr(part, "identity")
