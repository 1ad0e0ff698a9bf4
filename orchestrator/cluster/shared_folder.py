"""Checks, before work starts, that all machines of a cluster see the same run directory.

The driver leaves a mark in the run directory; every worker looks for it there, and tries to write.
A path that is there on every machine and is another folder on each would lose samples in silence.

    with leave_mark(directory) as mark:      # driver
        check_mark(directory, mark)          # every worker, before it opens the store

This module knows names and bytes, as the store does, and no Ray: callers pass the number of
machines.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nbest.orchestrator.errors import InputError, StoreError
from nbest.orchestrator.store.format.files import RunFolder, cause_of
from nbest.orchestrator.store.format.names import temporary_name

# File systems of one machine's own disks and memory. Any other may be shared; the mark decides.
_OF_DISKS = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "reiserfs", "vfat", "xfs", "zfs"}
_OF_MEMORY = {"overlay", "ramfs", "squashfs", "tmpfs"}
_OF_ONE_MACHINE = frozenset(_OF_DISKS | _OF_MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What tells one run directory from another with the same path."""

    name: str  # of a file in the run directory, which the store ignores as half-written
    nonce: str  # the contents of the file


@contextmanager
def leave_mark(directory: str) -> Iterator[Mark]:
    """Mark a run directory, a path or a URI, for as long as workers may join.

    After a SIGKILL the file stays; the next run deletes it with other unfinished files.
    """
    folder = RunFolder(directory)
    nonce = secrets.token_hex(8)
    mark = Mark(name=temporary_name(f"driver-{nonce}"), nonce=nonce)
    folder.commit(mark.name, nonce.encode())
    try:
        yield mark
    finally:
        with suppress(StoreError):  # the run is over; what is left behind does no harm
            folder.delete(mark.name)


def check_mark(directory: str, mark: Mark) -> None:
    """Raise InputError unless the run directory is the driver's here too, and can be written."""
    folder = RunFolder(directory)
    try:
        content = folder.read(mark.name)
    except FileNotFoundError:
        raise _refusal(folder, _absence(folder)) from None
    except StoreError as error:
        raise _refusal(folder, str(error)) from error
    if content != mark.nonce.encode():
        raise _refusal(folder, "another mark than the driver's is in it")
    _try_to_write(folder)


def refuse_local_folder(
    directory: str, num_machines: int, *, is_shared: bool = False, mounts: str | None = None
) -> None:
    """Raise InputError where the run directory is on a disk that other machines cannot see.

    `is_shared` is for a user who exports that disk to the other machines. `mounts` is the text of
    /proc/mounts; where there is no such file, as on macOS, nothing is refused.
    """
    if is_shared or num_machines < 2 or "://" in directory:
        return
    kind = file_system_of(directory, _mounts() if mounts is None else mounts)
    if kind in _OF_ONE_MACHINE:
        raise InputError(
            f"run directory must be on storage that all {num_machines} machines of the cluster "
            f"share (it is on {kind}, a disk of this machine alone; if you export it to the "
            f"others under the same path, set shared_folder), got {directory!r}"
        )


def file_system_of(directory: str, mounts: str) -> str:
    """Return the type of the file system that a path is on; empty where no mount fits.

    >>> file_system_of("/data/run", "/dev/sda / ext4 rw 0 0\\nserver:/x /data nfs4 rw 0 0")
    'nfs4'
    """
    path = Path(os.path.realpath(directory))
    longest, kind = -1, ""
    for line in mounts.splitlines():
        _, mount_point, mount_kind, *_ = (line + " ? ? ?").split(" ")
        point = Path(_unescaped(mount_point))
        # Of two mounts on one point, the later one hides the earlier.
        if path.is_relative_to(point) and len(point.parts) >= longest:
            longest, kind = len(point.parts), mount_kind
    return kind


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(errors="replace")
    except OSError:
        return ""


def _unescaped(text: str) -> str:
    r"""Return a mount point as it is: the kernel writes a blank as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _absence(folder: RunFolder) -> str:
    if not folder.is_local or os.path.isdir(folder.full()):
        return "the driver's mark is not in it"
    return "there is no such folder"


def _try_to_write(folder: RunFolder) -> None:
    """Write a file, rename it and delete it, as the store will."""
    name = temporary_name(f"worker-{secrets.token_hex(8)}")
    try:
        folder.commit(name, b"")
        folder.delete(name)
    except StoreError as error:
        raise _refusal(
            folder, f"it cannot be written: {cause_of(error.__cause__ or error)}"
        ) from error


def _refusal(folder: RunFolder, why: str) -> InputError:
    rule = "be one that every machine of the cluster shares and may write to"
    host = socket.gethostname()
    return InputError(f"run directory must {rule} (on host {host!r} {why}), got {folder.path!r}")
