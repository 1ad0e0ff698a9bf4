"""Lets no engine outlive the process that holds it, whatever ends that process.

vLLM's core waits for messages on a socket and does not notice that nobody will send one: after a
SIGKILL of its parent it stays, with the GPU. So a small guard process stands beside every engine,
and kills the engine when their common parent is gone. (Linux's parent-death signal would not do: it
fires when the thread that started the engine ends.)

This file is run as the guard process, without our packages and without site-packages: it imports
the standard library alone, so psutil cannot read the process tree here. It knows no vLLM; it reads
`/proc`, and without one it only knows the pids that it was given.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_S = 1.0

# How long the guard process may take to end.
LEAVE_S = 5.0

# No process that could be watched has this pid: it means that we are done.
DONE = 0


class OrphanGuard:
    """Tells the guard process which processes must not outlive this one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._watched: set[int] = set()

    def watch(self, root: int) -> None:
        """Have the process of this pid guarded, and all that it has started by now."""
        for pid in {root, *descendants(root)} - self._watched:
            self._watched.add(pid)
            self._send(pid)

    def _send(self, pid: int) -> None:
        if self._process.stdin is None:
            return
        with suppress(BrokenPipeError):  # it was killed: no reason to fail as well
            self._process.stdin.write(b"%d\n" % pid)


@contextmanager
def orphan_guard() -> Iterator[OrphanGuard]:
    """Start the guard process of this one's engines; at the end it kills what is left of them.

    Workers may be left even then, holding their GPU: those of a core that was killed.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        bufsize=0,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # what a terminal sends to our group does not concern it
    )
    try:
        yield OrphanGuard(process)
    finally:
        try:
            process.communicate(b"%d\n" % DONE, timeout=LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def kill_tree(root: int) -> None:
    """Kill a process and all that it has started; SIGKILL ends stopped ones, too."""
    pids = [root, *descendants(root)]  # the root first, so that it cannot report its children
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the pids of all that a process has started, all generations of them."""
    pids: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # that thread has just ended
            for child in map(int, path.read_text().split()):
                pids += [child, *descendants(child)]
    return pids


def started_at(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty when it is gone.

    With the pid that names a process for ever. It is field 22 of `/proc/PID/stat` (proc(5)); the
    second, a name in brackets, may hold spaces.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def stand_guard(parent: int) -> None:
    """Note the pids that come in on standard input; kill them when the parent has gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # sent to a whole job: we leave after our parent
    guarded: dict[int, str] = {}
    has_parent = True
    while has_parent and DONE not in guarded:
        has_parent = os.getppid() == parent  # before we read: so we read all that it has sent
        if select.select([0], [], [], POLL_S if has_parent else 0.0)[0]:
            lines = os.read(0, 65_536)
            if not lines:  # a process that ends closes its files before it leaves its children
                break
            guarded |= {pid: started_at(pid) for pid in map(int, lines.split())}
    for pid, started in guarded.items():
        if pid != DONE and started_at(pid) == started:
            kill_tree(pid)


if __name__ == "__main__":
    stand_guard(int(sys.argv[1]))
