"""Scripts of a fake model that misbehaves: it dies, hangs, refuses, or is full.

Each wraps another script, which answers the requests that the fault does not concern, so faults
can be stacked. A fault that harms a process harms the one that calls the script: in a run on Ray
that is an engine's. They know no Ray and no pool.
"""

from __future__ import annotations

import math
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from nbest.model_backend.fake.script import Reply, Script
from nbest.orchestrator.errors import BackendError, EngineDead, Overloaded, RequestRejected
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Request


class Harm(StrEnum):
    """The ways in which a script can harm its process."""

    SIGKILL = "sigkill"  # as by the kernel when memory is short
    EXIT = "exit"  # as by a library that gives up: no clean-up, and a status
    SIGSTOP = "sigstop"  # it is there, and does nothing more


def harm_process(harm: Harm) -> None:
    """Kill, end or stop the process that calls this."""
    if harm is Harm.EXIT:
        os._exit(1)
    number = signal.SIGKILL if harm is Harm.SIGKILL else signal.SIGSTOP
    os.kill(os.getpid(), number)


def write_journal(path: str, text: str) -> None:
    """Append a line to a file: the id of this process and the text.

    One call writes it whole: it outlives its process, and many processes may share the file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, f"{os.getpid()} {text}\n".encode())
    finally:
        os.close(descriptor)


def prompt_has(request: Request, marker: str) -> bool:
    """Tell whether the text of any message holds `marker`."""
    if isinstance(request.prompt, str):
        return marker in request.prompt
    return any(marker in message.content for message in request.prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmsProcess:
    """Ends or stops the process that answers a request whose prompt holds `marker`.

    Example: `HarmsProcess(then=script, marker="poison", harm=Harm.SIGKILL)`
    """

    then: Script
    marker: str
    harm: Harm = Harm.SIGKILL

    def __call__(self, request: Request) -> Reply:
        if prompt_has(request, self.marker):
            harm_process(self.harm)
        return self.then(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangs:
    """Gives no token to a request whose prompt holds `marker`; an abort ends it.

    With a `stall_s`, the engine does what a backend has to do that sees no token for so long: it
    reports that it is dead.
    """

    then: Script
    marker: str
    stall_s: float = math.inf

    def __call__(self, request: Request) -> Reply:
        if prompt_has(request, self.marker):
            death = EngineDead(f"no token for {self.stall_s:g} s")
            return Reply(tokens=(), first_token_s=self.stall_s, error=death)
        return self.then(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejects:
    """Rejects a request whose prompt holds `marker`, as if it were too long."""

    then: Script
    marker: str
    reason: str = "the request is refused"

    def __call__(self, request: Request) -> Reply:
        if prompt_has(request, self.marker):
            return Reply(tokens=(), error=RequestRejected(self.reason))
        return self.then(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fails:
    """Fails a request whose prompt holds `marker`, and leaves the engine alive."""

    then: Script
    marker: str
    reason: str = "the request failed"

    def __call__(self, request: Request) -> Reply:
        if prompt_has(request, self.marker):
            return Reply(tokens=(), error=BackendError(self.reason))
        return self.then(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadedAtFirst:
    """Refuses every request `times` times because the engine is full, and then answers it.

    It counts in its own process: an engine that is started again counts anew.
    """

    then: Script
    times: int
    _refused: Counter[str] = field(default_factory=Counter, repr=False, compare=False)

    def __post_init__(self) -> None:
        require(self.times >= 0, "times", "be at least 0", self.times)

    def __call__(self, request: Request) -> Reply:
        if self._refused[request.id] < self.times:
            self._refused[request.id] += 1
            return Reply(tokens=(), error=Overloaded("the engine takes no more requests"))
        return self.then(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Adds the process and the id of each request to a file: who drew what, and how often.

    The place of the file decides no sample, so it is left out of the repr.
    """

    then: Script
    path: str = field(repr=False)

    def __call__(self, request: Request) -> Reply:
        write_journal(self.path, request.id)
        return self.then(request)
