"""Every exception that nbest raises on purpose.

    NbestError
    |-- InputError        wrong input: the key, the value and the rule (also a ValueError)
    |-- BackendError      an engine refused, is full, or died
    |   |-- RequestRejected   this request can never succeed: too long, malformed constraint
    |   |-- Overloaded        not now: the same request may succeed later
    |   |-- EngineDead        the engine is gone, and with it all that it was working on
    |   |   `-- NotBegun          ... before it had begun with this request
    |   `-- Quarantined       this query has killed engines again and again: none takes it now
    |-- PartFailed        a scorer, extractor or equivalence of the user's own raised an error
    |-- OutOfBudget       the budget of a batch was spent before this query's turn
    `-- StoreError        a run directory cannot be used as it is
        |-- RunChanged        it was made with other settings; the message lists them
        `-- RunLocked         another process is writing to it

All of them carry one string, so that they survive pickling on the way out of a Ray worker.
"""

from __future__ import annotations


class NbestError(Exception):
    """Root of the tree above."""


class InputError(NbestError, ValueError):
    """Wrong input; the message names the key, the value and the rule."""


class BackendError(NbestError):
    """An engine failed."""


class RequestRejected(BackendError):
    """This request can never succeed; another one may."""


class Overloaded(BackendError):
    """The engine takes no more requests at the moment."""


class EngineDead(BackendError):
    """The engine is gone."""


class NotBegun(EngineDead):
    """The engine died before it began with this request, which cannot be the cause."""


class Quarantined(BackendError):
    """The query has killed engines, twice while it was alone there: no engine takes it now."""


class PartFailed(NbestError):
    """A part that is not ours, such as a scorer of the user's own, raised an error."""


class OutOfBudget(NbestError):
    """The budget of a batch was spent before this query had its first sample."""


class StoreError(NbestError):
    """A run directory cannot be used as it is."""


class RunChanged(StoreError):
    """The run directory was made with other settings."""


class RunLocked(StoreError):
    """Another process is writing to the run directory."""


def first_line(error: BaseException) -> str:
    """Return the first line of a foreign exception's message, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def error_text(error: BaseException) -> str:
    """Return one line: the message of an error of ours, else the type and the message."""
    if isinstance(error, NbestError):
        return first_line(error)
    return f"{type(error).__name__}: {first_line(error)}"
