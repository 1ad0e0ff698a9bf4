"""The child process in which functions of nbest read what a model wrote.

It reads lines of JSON, each with the name of a function and a list of calls, and writes a line when
all that the function needs has been imported, and then one for the outcome of each call. It can
write no file, it has a limit of memory, and it ends with its parent, which may also kill it at any
moment.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from nbest.orchestrator.errors import InputError

BEGUN = b"begun\n"
_SET_DEATH_SIGNAL = 1  # of prctl


def serve(memory_bytes: int) -> None:
    """Answer calls until the input ends."""
    replies = _only_output()
    _confine(memory_bytes)
    for line in sys.stdin.buffer:
        name, timeout_s, calls = json.loads(line)
        found = _outcome(_function, [name])
        replies(BEGUN)
        for arguments in calls:
            # What waits for a busy machine takes no time of its own: the limit is one of work.
            signal.setitimer(signal.ITIMER_PROF, timeout_s)
            outcome = _outcome(found["value"], arguments) if "value" in found else found
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            replies(json.dumps(outcome).encode() + b"\n")


def _only_output() -> Callable[[bytes], object]:
    """What writes to our standard output; what libraries print is lost from now on."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    return replies.write


def _confine(memory_bytes: int) -> None:
    parent = os.getppid()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write that is too long is an error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the time of a call is over: it ends us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent has ended")


@cache
def _function(name: str) -> Callable[..., object]:
    """The function `module:name`, after each `warm_up` of the modules that it needs."""
    module_name, _, function_name = name.partition(":")
    module = import_module(module_name)
    ours = [one for key, one in sys.modules.items() if key.startswith("nbest.")]
    for one in ours:
        getattr(one, "warm_up", lambda: None)()
    function: Callable[..., object] = getattr(module, function_name)
    return function


def _outcome(function: Callable[..., Any], arguments: Sequence[object]) -> Mapping[str, Any]:
    try:
        return {"value": function(*arguments)}
    except InputError as error:
        return {"wrong_input": str(error)}
    # Libraries raise whatever they like at what a model wrote: the parent is told.
    except Exception as error:  # noqa: BLE001
        return {"failure": f"{type(error).__name__}: {error}"}
