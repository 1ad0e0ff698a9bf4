"""How a command ends: every error that nbest knows is one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from nbest.experiments.cli.exit_codes import Exit
from nbest.experiments.language.text import printable
from nbest.orchestrator.errors import InputError, NbestError, RunChanged

TYPER_INTERRUPTED = 130  # what Typer makes of Ctrl-C


def as_command(command: Callable[[], int | None]) -> NoReturn:
    """Do it, and end the process; what is returned is the exit status, None is 0."""
    # A shell starts what it puts in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A scheduler's SIGTERM ends a run as Ctrl-C does: what has been sampled is written first.
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        status = command()
    except (InputError, RunChanged) as error:
        _end(f"error: {error}", Exit.WRONG_INPUT)
    except NbestError as error:
        _end(f"error: {error}", Exit.FAILED)
    except typer.TyperException as error:
        _end(f"error: {error.format_message()}", Exit.WRONG_INPUT)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except KeyboardInterrupt:
        status = TYPER_INTERRUPTED
    if status == TYPER_INTERRUPTED:
        _end("interrupted; the same command goes on from here", Exit.INTERRUPTED)
    sys.exit(status or Exit.OK)


def _end(message: str, status: Exit) -> NoReturn:
    lines = map(printable, message.split("\n"))  # it may quote what a model wrote
    print("nbest: " + "\n".join(lines), file=sys.stderr)
    sys.exit(status)
