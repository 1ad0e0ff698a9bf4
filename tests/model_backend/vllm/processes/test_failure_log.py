"""The cause of a failure, as the engine's own processes have logged it."""

from __future__ import annotations

import json
import logging.config
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from nbest.model_backend.vllm.processes.failure_log import (
    SHOWN_CHARACTERS,
    failure_log,
    log_file_hint,
    root_cause,
)

ROOT = Path(__file__).parents[4]

WORKER = """WorkerProc failed to start.
Traceback (most recent call last):
  File "loader.py", line 1, in load
    raise RuntimeError("No weights")
RuntimeError: No weights
EngineCore failed to start.
Traceback (most recent call last):
  File "executor.py", line 1, in wait
Exception: WorkerProc initialization failed. See stack trace for root cause.
"""


def test_the_first_failure_is_the_cause_and_not_what_followed_from_it() -> None:
    assert root_cause(WORKER) == "RuntimeError: No weights"


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("", ""),
        ("an error without a traceback", ""),
        ("torch.OutOfMemoryError: 2 GiB wanted", "OutOfMemoryError: 2 GiB wanted"),
        ("a.b.EngineDeadError: EngineCore ... See stack trace (above)", ""),
        ("RuntimeError: Engine core initialization failed.", ""),
        ("KeyboardInterrupt", ""),
        ("AssertionError: ", "AssertionError"),
        ("note: ValueError: not at the start", ""),
    ],
)
def test_what_is_a_cause(log: str, cause: str) -> None:
    assert root_cause(log) == cause


def test_a_long_message_is_cut() -> None:
    assert len(root_cause("ValueError: " + "x" * 9999)) == SHOWN_CHARACTERS


def test_without_a_failure_there_is_no_cause_and_at_the_end_no_file() -> None:
    with failure_log() as log:
        assert log.cause() == ""
        (folder,) = {log._path.parent, log._config.parent}
        assert folder.is_dir()
    assert not folder.exists()


def test_vllm_logs_as_before_and_keeps_a_copy_of_what_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The loggers are vLLM's own, in a process that is configured by the file."""
    pytest.importorskip("vllm")
    from vllm.logger import DEFAULT_LOGGING_CONFIG

    with failure_log() as log:
        logging_config = log.logging_config()
        assert logging_config is not None
        config = json.loads(Path(str(logging_config.pylogging_config_file)).read_text())
        ours = config["handlers"].pop("failures")
        assert ours["level"] == "ERROR"
        assert set(config["handlers"]) == set(DEFAULT_LOGGING_CONFIG["handlers"])
        config["handlers"]["failures"] = ours
        before = logging.getLogger("vllm").handlers[:]
        try:
            logging.config.dictConfig(config)
            logging.getLogger("vllm.v1.engine.core").warning("ValueError: no failure")
            try:
                raise ValueError("the cause")
            except ValueError:
                logging.getLogger("vllm.v1.engine.core").exception("EngineCore failed to start.")
        finally:
            for handler in logging.getLogger("vllm").handlers[:]:
                handler.close()
            logging.getLogger("vllm").handlers[:] = before
        assert log.cause() == "ValueError: the cause"


def test_a_logging_configuration_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_LOGGING_CONFIG_PATH", "mine.json")
    with failure_log() as log:
        assert log.logging_config() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_log_file_is_named_and_a_terminal_or_a_pipe_is_not(tmp_path: Path) -> None:
    program = f"from {log_file_hint.__module__} import log_file_hint as hint; print(hint())"

    def hint_of(stderr: IO[bytes] | int) -> str:
        command = [sys.executable, "-c", program]
        process = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True
        )
        return process.stdout.rstrip("\n")

    with (tmp_path / "worker.err").open("wb") as log:
        assert hint_of(log) == f" (in {tmp_path / 'worker.err'})"
    assert hint_of(subprocess.PIPE) == ""
