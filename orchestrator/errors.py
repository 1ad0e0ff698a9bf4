"""Every exception that nbest raises on purpose.

    NbestError
    |-- InputError        the caller's mistake: the key, the value and the rule (also a ValueError)
    |-- BackendError      the world's: an engine refused, is full, or died
    |   |-- RequestRejected   this request can never succeed: too long, malformed constraint
    |   |-- Overloaded        not now: the same request may succeed later
    |   |-- EngineDead        the engine is gone, and with it all that it was working on
    |   |   `-- NotBegun          ... and it had not yet begun with this request
    |   `-- Quarantined       this query has killed its engine, twice alone: it gets no other
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
    """The engine is gone, and this request cannot be the cause: it had not been begun."""


class Quarantined(BackendError):
    """The query has killed its engine, twice while it was alone there: it gets no other."""


class OutOfBudget(NbestError):
    """The budget of a batch was spent before this query had its first sample."""


class StoreError(NbestError):
    """A run directory cannot be used as it is."""


class RunChanged(StoreError):
    """The run directory was made with other settings."""


class RunLocked(StoreError):
    """Another process is writing to the run directory."""


def first_line(error: BaseException) -> str:
    """The first line of what a foreign exception says; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
