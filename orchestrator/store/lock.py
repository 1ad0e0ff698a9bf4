"""Locks a run directory for one driver; the kernel frees the lock when its holder dies.

This module knows no run, no table and no cluster. Arrow's remote filesystems have no locks: there,
`object_lock.py` does what it can.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from nbest.orchestrator.errors import InputError, RunLocked, StoreError


@contextmanager
def run_lock(path: str) -> Iterator[None]:
    """Hold the lock file at `path`, or raise RunLocked with the host, pid and start of the holder.

    The file stays when the lock is released. If it were deleted, two processes could lock two files
    of the same name.
    """
    try:
        descriptor = _Descriptor(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        rule = f"be one that this user may write to ({os.strerror(error.errno or 0)})"
        raise InputError(f"run directory must {rule}, got {os.path.dirname(path)!r}") from error
    try:
        _lock(descriptor.number, path)
        _write_holder(descriptor.number)
        yield
    finally:
        descriptor.close()


class _Descriptor:
    """A file descriptor that forked children of this process close.

    A forked child shares the lock and would hold it after its parent was killed: an engine process
    that outlives the driver by a second would lock out the next driver.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            what = f"run directory {os.path.dirname(path)!r} is in use"
            raise RunLocked(f"{what} {_read_holder(descriptor)}") from None
        what = f"{path!r} cannot be locked ({os.strerror(error.errno or 0)})"
        raise StoreError(f"{what}: choose a file system with flock") from error


def _write_holder(descriptor: int) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _read_holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"by host {holder['host']!r}, pid {holder['pid']}, since {holder['started']}"
    except (ValueError, KeyError, TypeError):  # the holder has not written its name yet
        return "by a process that has just begun"
