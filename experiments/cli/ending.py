"""How a command ends: every error that nbest knows is one line and an exit status."""

from __future__ import annotations

import atexit
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NoReturn

import typer

from nbest.experiments.language.text import printable
from nbest.orchestrator.errors import InputError, NbestError, RunChanged, first_line

TYPER_INTERRUPTED = 130  # what Typer makes of Ctrl-C


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let the process end, with the status of the block, without the destructors of libraries.

    Those of Arrow's threads abort it now and then, after all has been written. Functions that run
    at exit have run before.
    """
    status = int(Exit.FAILED)  # of an error that nobody expects

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    atexit.register(leave)  # the first to be registered is the last to be called
    try:
        yield
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else status
        raise


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and end the process; what it returns is the exit status, None is 0."""
    # A shell starts what it puts in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A scheduler's SIGTERM ends a run as Ctrl-C does: what has been sampled is written first.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # with nohup it is ignored
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        status = command()
        sys.stdout.flush()  # a full disk is found here, not when Python ends
    except (InputError, RunChanged) as error:
        _end(f"error: {error}", Exit.WRONG_INPUT)
    except NbestError as error:
        _end(f"error: {error}", Exit.FAILED)
    except typer.TyperException as error:
        _end(f"error: {error.format_message()}", Exit.WRONG_INPUT)
    except BrokenPipeError:  # whoever read our output has gone
        _drop_output()
        sys.exit(Exit.FAILED)
    except OSError as error:  # a full disk, a folder that is not there: no fault of the program
        _drop_output()
        place = f"{error.filename}: " if error.filename else ""
        _end(f"error: {place}{error.strerror or first_line(error)}", Exit.FAILED)
    except KeyboardInterrupt:
        status = TYPER_INTERRUPTED
    if status == TYPER_INTERRUPTED:
        _end("interrupted; the same command goes on from here", Exit.INTERRUPTED)
    sys.exit(status or Exit.OK)


def _drop_output() -> None:
    """Let what is still to be printed go nowhere: Python would try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, status: Exit) -> NoReturn:
    lines = map(printable, message.split("\n"))  # it may quote what a model wrote
    print("nbest: " + "\n".join(lines), file=sys.stderr)
    sys.exit(status)


class Exit(IntEnum):
    """The exit statuses."""

    OK = 0
    FAILED = 1
    WRONG_INPUT = 2
    SOME_ERRORS = 3
    INTERRUPTED = 75  # EX_TEMPFAIL: the same command goes on where this one stopped


def tolerated_errors(text: str, num_queries: int) -> int:
    """How many questions may end in error: `true` none, `false` all, a share, or a count."""
    rule = "be true, false, a share below 1 or a count"
    if text.lower() in ("true", "false"):
        return 0 if text.lower() == "true" else num_queries
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"--fail-on-error must {rule}, got {text!r}") from None
    if not 0 <= value < math.inf or (value >= 1 and value != int(value)):
        raise InputError(f"--fail-on-error must {rule}, got {text!r}")
    if value >= 1:
        return int(value) - 1
    return int(value * num_queries + 1e-9)  # as a float, 0.29 * 100 is a little less than 29
