"""A process that reads mathematics, and is killed when it takes too long.

The processes are no children of `multiprocessing`, which would run the main script of the user once
more, and no signals are involved, so it works in any thread.
"""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence

from nbest.orchestrator.errors import InputError
from nbest.scorers.sandboxes.math_keys import READY

START_S = 120.0
MEMORY_BYTES = 2 << 30

_PROGRAM = (
    "import json, resource, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " limit = int(sys.argv[2]); resource.setrlimit(resource.RLIMIT_AS, (limit, limit));"
    " from nbest.scorers.sandboxes.math_keys import serve; serve()"
)


class MathProcess:
    """Reads one answer after the other. The process starts at the first, and again after a kill."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self.starts = 0

    def __reduce__(self) -> tuple[type[MathProcess], tuple[()]]:
        return MathProcess, ()  # in another process there is another one

    async def keys(self, answers: Sequence[str], timeout_s: float) -> list[str | None]:
        """[A] the key of each answer; None where it cannot be read, or not in time."""
        return await asyncio.to_thread(self.keys_now, answers, timeout_s)

    def keys_now(self, answers: Sequence[str], timeout_s: float) -> list[str | None]:
        """Do the same without an event loop; it blocks."""
        with self._lock:
            return [self._key(answer, timeout_s) for answer in answers]

    def _key(self, answer: str, timeout_s: float) -> str | None:
        process = self._process or self._start()
        line = json.dumps(answer).encode() + b"\n"
        try:
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()
            reply = self._line(process, timeout_s)
        except BrokenPipeError:
            reply = None
        if reply is None:
            self._stop()
            return None
        key: str | None = json.loads(reply)
        return key

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._process, self._unread = process, b""
        self._finalizer = weakref.finalize(self, end, process)
        self.starts += 1
        if self._line(process, START_S) != READY.encode():
            self._stop()
            raise InputError("mathematics needs a package: pip install 'nbest[math]'")
        return process

    def _line(self, process: subprocess.Popen[bytes], timeout_s: float) -> bytes | None:
        """The next line that it writes; None when it has ended, or the time is over."""
        assert process.stdout is not None
        ends_s = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left_s = ends_s - time.monotonic()
            if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
                return None
            data = process.stdout.read1(65536)  # type: ignore[attr-defined] # it is buffered
            if not data:
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _stop(self) -> None:
        if self._process is not None:
            self._finalizer()
            self._process = None


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and wait until it is gone."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:  # what it has not read any more
                continue
