"""Keeps what an engine's own processes log of their failure, so that an error can name its cause.

vLLM reports a core that cannot start, or dies, as "see root cause above": the cause is on the
standard error of another process. Every process of an engine applies vLLM's logging configuration,
so that is the place to ask for a copy. What vLLM prints by itself stays as it is.
"""

from __future__ import annotations

import copy
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm.config.logging import LoggingConfig

# The longest message that is shown; some list all models that vLLM knows.
SHOWN_CHARACTERS = 200

# The last line of a traceback: `ValueError: text`, or `torch.OutOfMemoryError: text`.
RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Exit|Interrupt)): *(.*)$")

# Phrases of the core for a worker that has failed: the worker itself has logged why.
POINTERS = ("See stack trace", "See root cause", "root cause above", "Engine core initialization")


class FailureLog:
    """A file that collects the tracebacks of one engine's processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "failures.log"
        self._config = folder / "logging.json"

    def logging_config(self) -> LoggingConfig | None:
        """Return vLLM's own configuration with our file; None where the user has set another."""
        if "VLLM_LOGGING_CONFIG_PATH" in os.environ:
            return None
        from vllm import envs
        from vllm.config.logging import LoggingConfig
        from vllm.logger import DEFAULT_LOGGING_CONFIG

        if not envs.VLLM_CONFIGURE_LOGGING:
            return None
        config = copy.deepcopy(DEFAULT_LOGGING_CONFIG)
        config["handlers"]["vllm"]["stream"] = envs.VLLM_LOGGING_STREAM
        config["handlers"]["vllm"]["level"] = envs.VLLM_LOGGING_LEVEL
        config["loggers"]["vllm"]["level"] = envs.VLLM_LOGGING_LEVEL
        config["formatters"]["failures"] = {"format": "%(message)s"}
        config["handlers"]["failures"] = {
            "class": "logging.FileHandler",
            "filename": str(self._path),
            "level": "ERROR",
            "formatter": "failures",
            "delay": True,
        }
        config["loggers"]["vllm"]["handlers"].append("failures")
        self._config.write_text(json.dumps(config))
        return LoggingConfig(pylogging_config_file=str(self._config))

    def cause(self) -> str:
        """Return the first exception in the log that points to no other, on one line; or empty."""
        try:
            text = self._path.read_text(errors="replace")
        except OSError:
            return ""
        return root_cause(text)


@contextmanager
def failure_log() -> Iterator[FailureLog]:
    """Make a log in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="nbest-vllm-") as folder:
        yield FailureLog(Path(folder))


def root_cause(log: str) -> str:
    """Return the first exception in a log of tracebacks that points to no other, or empty."""
    matches = [match for line in log.splitlines() if (match := RAISED.match(line.strip()))]
    for match in matches:
        if not any(pointer in match[2] for pointer in POINTERS):
            return f"{match[1]}: {match[2]}".removesuffix(": ")[:SHOWN_CHARACTERS]
    return ""


def log_file_hint() -> str:
    """Name the file that this process and its children write their messages to, as under Ray."""
    try:
        path = Path(os.readlink("/proc/self/fd/2"))
    except OSError:  # there is no /proc
        return ""
    return f" (in {path})" if path.is_file() else ""
