"""Real `nbest run`s as processes: start one, wait for it, send it a signal, find its children.

Every process that belongs to one run or cluster carries a mark in its environment, so that each can
be found, and no other is touched. Linux only: it reads /proc.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[4]  # of what is imported as `nbest`
MARK = "NBEST_FAULTS_MARK"
LIMIT_S = 180.0  # a run that takes longer is taken for one that never ends
POLL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended."""

    status: int | None  # None: it did not end by itself
    stdout: str
    stderr: str
    seconds: float

    @property
    def last_words(self) -> str:
        return (self.stderr.strip() or "nothing").splitlines()[-1]


class Process:
    """A process that was started, with all that it starts itself."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.mark = secrets.token_hex(8)
        # Files, not pipes: processes of Ray outlive their driver, and would hold a pipe open.
        self._out, self._err = (folder / f"{self.mark}.{name}" for name in ("out", "err"))
        self._started_s = time.monotonic()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **env, MARK: self.mark},
                stdout=out,
                stderr=err,
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Signal its whole process group, as a terminal or a scheduler does."""
        os.killpg(self.pid, number)

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def printed_lines(self) -> list[str]:
        """The complete lines that it has printed so far."""
        return self._out.read_text(errors="replace").split("\n")[:-1]

    def wait(self, limit_s: float = LIMIT_S) -> Ended:
        """Wait for its end, and kill it after the limit."""
        try:
            status: int | None = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
            self._process.kill()
            self._process.wait()
        return Ended(
            status=status,
            stdout=self._out.read_text(errors="replace"),
            stderr=self._err.read_text(errors="replace"),
            seconds=time.monotonic() - self._started_s,
        )

    def sweep(self) -> None:
        """Kill what is left of it and of its children."""
        self._process.kill()
        self._process.wait()
        while pids := marked(self.mark):  # those that have just been started, too
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_S)
        assert self._process.stdin is not None
        self._process.stdin.close()


@contextmanager
def python(
    module: str, *args: str, folder: Path, env: Mapping[str, str], before: Sequence[str] = ()
) -> Iterator[Process]:
    """Run a module as a process in that folder; what is left of it at the end is killed.

    `before` is a command that runs it, such as one that enters a namespace.
    """
    process = Process([*before, sys.executable, "-m", module, *args], folder, env)
    try:
        yield process
    finally:
        process.sweep()


def wait_until(holds: Callable[[], bool], process: Process, limit_s: float = LIMIT_S) -> bool:
    """Poll until it holds; False if the process ends, or time is up, before that."""
    give_up_s = time.monotonic() + limit_s
    while not holds():
        if not process.is_running or time.monotonic() > give_up_s:
            return holds()
        time.sleep(POLL_S)
    return True


def marked(mark: str, title: str = "") -> list[int]:
    """The ids of the processes with that mark whose command line begins with that title."""
    entry = f"{MARK}={mark}".encode()
    return sorted(pid for pid in _pids() if entry in _read(pid, "environ") and _is(pid, title))


def _is(pid: int, title: str) -> bool:
    return _read(pid, "cmdline").decode(errors="replace").startswith(title)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return b""
