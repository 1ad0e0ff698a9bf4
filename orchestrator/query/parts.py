"""Parts that users write: checked before anything starts, and named where they fail.

A scorer, an extractor or an equivalence may be anybody's code. Whatever it raises becomes one
typed error, which says which part it was, and on which line of whose file.
"""

from __future__ import annotations

import asyncio
import os
import sysconfig
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeVar

from nbest.orchestrator.errors import NbestError, PartFailed, first_line
from nbest.orchestrator.requirements import require

T = TypeVar("T")

_ROOT = Path(__file__).resolve().parents[2]
_ROOMS = ("orchestrator", "scorers", "model_backend", "experiments")
_OURS = tuple(f"{_ROOT / room}{os.sep}" for room in _ROOMS)
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


def require_part(key: str, part: object, *attributes: str) -> None:
    """Raise InputError unless the part is an object that can be called and has these attributes."""
    name = getattr(part, "__name__", "")
    require(not isinstance(part, type), key, f"be an object, {name}() and not its class", part)
    require(callable(part), key, "be an object that can be called", part)
    for attribute in attributes:
        require(hasattr(part, attribute), key, f"have {attribute}, as protocols.py says", part)


async def result_of(role: str, part: Callable[..., Awaitable[T]], *args: object) -> T:
    """Call and await a part; what it raises is a PartFailed, but errors of ours stay as they are.

    It may also raise what would end a task or a process: that is its error like any other, unless
    this task has been cancelled indeed.
    """
    try:
        return await part(*args)
    except NbestError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise part_failure(role, part, error) from error
    except (Exception, SystemExit) as error:
        raise part_failure(role, part, error) from error


def nested_parts(part: object, is_wanted: Callable[[object], bool]) -> Iterator[object]:
    """Yield what is wanted among a part and its settings, those of a scorer's scorers, say.

    What is in a part that is wanted is not looked at.
    """
    inner: Iterable[object] = ()
    if is_wanted(part):
        yield part
    elif isinstance(part, tuple):
        inner = part
    elif is_dataclass(part) and not isinstance(part, type):
        inner = (getattr(part, setting.name) for setting in fields(part))
    for item in inner:
        yield from nested_parts(item, is_wanted)


def part_failure(role: str, part: object, error: BaseException) -> PartFailed:
    """The typed error for what a part has raised: `select MyScorer: KeyError: 'x' (mine.py:7)`."""
    part = getattr(part, "__wrapped__", part)  # one with a cache around it
    name = getattr(part, "__name__", "") or type(part).__name__
    what = type(error).__name__
    message = first_line(error)
    said = what if message == what else f"{what}: {message}"
    return PartFailed(f"{role} {name}: {said}{_place(error)}")


def _place(error: BaseException) -> str:
    """The last line of a file that is neither ours nor a library's; empty where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = os.path.realpath(frame.filename)
        if not path.startswith((*_LIBRARIES, *_OURS)) and not frame.filename.startswith("<"):
            return f" ({os.path.basename(frame.filename)}:{frame.lineno})"
    return ""
