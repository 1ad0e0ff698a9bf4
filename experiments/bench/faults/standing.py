"""A Ray cluster that outlives the runs on it: how to join it, and how to lose parts of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbest.experiments.bench.faults.processes import Process, marked, python, wait_until
from nbest.experiments.bench.faults.workplace import Where, on_ray

ENGINE = "ray::EngineServer"
WORKER = "ray::QueryWorker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A running cluster of several nodes."""

    process: Process
    num_nodes: int
    token: str

    @property
    def address(self) -> str:
        return self.process.printed_lines()[0]

    def where(self, engines: int = 2, workers: int = 2) -> Where:
        """The place of a run that joins this cluster."""
        return on_ray(engines, workers, address=self.address, env=_secured(self.token))

    def pids(self, title: str) -> list[int]:
        return marked(self.process.mark, title)

    def lose_node(self, place: int) -> None:
        """Kill a node with all that runs on it, and start another."""
        self._order(f"lose {place}")
        self._order("add")

    def _order(self, line: str) -> None:
        answers = len(self.process.printed_lines()) + 1
        self.process.say(line)
        is_done = wait_until(lambda: len(self.process.printed_lines()) >= answers, self.process)
        assert is_done, f"{line}: {self.process.wait(1).stderr}"


@contextmanager
def standing_cluster(folder: Path, *, num_nodes: int, cpus: int) -> Iterator[Standing]:
    """Start a cluster whose nodes have `cpus` CPUs each; it ends with the context."""
    token = secrets.token_hex(32)
    args = (str(num_nodes), str(cpus))
    with python(
        "nbest.experiments.bench.faults.nodes", *args, folder=folder, env=_secured(token)
    ) as process:
        is_up = wait_until(lambda: bool(process.printed_lines()), process)
        assert is_up, f"no cluster: {process.wait(1).stderr}"
        yield Standing(process=process, num_nodes=num_nodes, token=token)


def _secured(token: str) -> dict[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "SPT_NOENV": "1"}
