"""How commands end, those of studies like those of `nbest`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from nbest.experiments.cli.ending import Exit, run_command
from nbest.experiments.studies.near_ties import main
from nbest.orchestrator.errors import InputError, NbestError


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Restore the signal handlers after each test."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], int | None]:
    def command() -> int | None:
        raise error

    return command


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (lambda: None, Exit.OK, ""),
        (lambda: 3, Exit.SOME_ERRORS, ""),
        (raising(InputError("n must be 1\x1b[2J")), Exit.WRONG_INPUT, "error: n must be 1"),
        (raising(NbestError("no engine")), Exit.FAILED, "error: no engine"),
        (raising(KeyboardInterrupt()), Exit.INTERRUPTED, "interrupted; the same command goes on"),
        (lambda: signal.raise_signal(signal.SIGTERM), Exit.INTERRUPTED, "interrupted"),
        (lambda: main(["--share", "2"]), Exit.WRONG_INPUT, "error: share must lie in [0.5, 1)"),
    ],
)
def test_it_ends_in_one_line_and_a_status(
    command: Callable[[], int | None],
    status: Exit,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    assert ended.value.code == status
    written = capsys.readouterr().err
    assert written.startswith(f"nbest: {message}" if message else "")
    assert written.count("\n") == bool(message)
    assert "\x1b" not in written


def test_what_nbest_does_not_know_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))
