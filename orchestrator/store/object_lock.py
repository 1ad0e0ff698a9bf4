"""Locks a run in an object store, where there is no kernel that frees the lock of the dead.

The holder writes its name into `run.lock`, and a number that it raises every few seconds. Who finds
the file watches it: where the number grows somebody is alive, and the run is in use; where it
stands still for a while, or the holder was a process of this machine that is gone, it is taken
over. Two who come at the same moment read the file again after they have written it: the one whose
name is not there any more is refused.

The clocks of two machines are never compared.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from nbest.orchestrator.errors import RunLocked, StoreError
from nbest.orchestrator.store.format.files import RunFolder

BEAT_S = 5.0
STILL_S = 20.0  # a holder whose number has not grown for so long is dead
SETTLE_S = 1.0  # within which two who come at once have both written


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What the file says of who holds the lock."""

    host: str
    pid: int
    started: str
    nonce: str
    beat: int = 0

    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def __str__(self) -> str:
        return f"by host {self.host!r}, pid {self.pid}, since {self.started}"


@contextmanager
def object_lock(
    folder: RunFolder, name: str, sleep: Callable[[float], object] = time.sleep
) -> Iterator[Callable[[], None]]:
    """Hold the lock that is the file `name` of a run, or raise RunLocked with its holder.

    What it yields raises RunLocked where the lock has been taken over since: a process that was
    stopped for a while, and goes on, must not merge files beside another.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    me = Holder(
        host=socket.gethostname(), pid=os.getpid(), started=started, nonce=secrets.token_hex(8)
    )
    _require_free(folder, name, sleep)
    _write(folder, name, me)
    sleep(SETTLE_S)

    def require_held() -> None:
        holder = _holder(folder, name)
        if holder is None or holder.nonce != me.nonce:
            by = holder or "by another process"
            raise RunLocked(f"run directory {folder.path!r} is in use {by}")

    require_held()
    is_over = threading.Event()
    beating = threading.Thread(
        target=_beat, args=(folder, name, me, is_over), name="nbest-lock", daemon=True
    )
    beating.start()
    try:
        yield require_held
    finally:
        is_over.set()
        beating.join()
        # Of another holder it stays; and one of ours that stays stands still, and is taken over.
        with suppress(StoreError):
            require_held()
            folder.delete(name)


def _require_free(folder: RunFolder, name: str, sleep: Callable[[float], object]) -> None:
    """Return when the lock is free, or its holder dead; raise RunLocked where it is alive."""
    first = _holder(folder, name)
    if first is None or first.is_gone():
        return
    watched_s = 0.0
    while watched_s < STILL_S:
        sleep(BEAT_S)
        watched_s += BEAT_S
        now = _holder(folder, name)
        if now is None:
            return
        if now != first:
            raise RunLocked(f"run directory {folder.path!r} is in use {now}")


def _beat(folder: RunFolder, name: str, me: Holder, is_over: threading.Event) -> None:
    """Raise the number until it is over; a write that fails is tried again at the next beat."""
    beat = 0
    while not is_over.wait(BEAT_S):
        beat += 1
        with suppress(StoreError):
            holder = _holder(folder, name)
            if holder is not None and holder.nonce != me.nonce:
                return  # it was taken over
            _write(folder, name, replace(me, beat=beat))


def _write(folder: RunFolder, name: str, holder: Holder) -> None:
    folder.commit(name, json.dumps(asdict(holder)).encode())


def _holder(folder: RunFolder, name: str) -> Holder | None:
    """Who holds the lock; None where nobody does, or nothing sensible stands there."""
    try:
        return Holder(**json.loads(folder.read(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return None
