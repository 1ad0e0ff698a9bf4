"""Imports optional packages, or says how to install them.

It knows no dataset and no task.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType

from nbest.orchestrator.errors import InputError


def reasoning_gym() -> ModuleType:
    """Import reasoning-gym, which takes about a second the first time."""
    return optional("reasoning_gym", "reasoning-gym tasks", "tasks")


def optional(module: str, what: str, extra: str) -> ModuleType:
    """Import a module of an optional package; `extra` is the extra of nbest that installs it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from the packages that it imports in turn
            return import_module(module)
    except ImportError as error:
        install = f"pip install 'nbest[{extra}]'"
        raise InputError(f"{what} need a package that is not installed: {install}") from error
