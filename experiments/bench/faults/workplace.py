"""A folder with a config and questions for fake engines, and the runs that are made in it.

It knows how to start a run; a scenario decides what happens to the run.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nbest.experiments.bench.faults.processes import ROOT, Ended, Process, python, wait_until
from nbest.orchestrator.files import StrPath

PLUGINS = {
    "kills_worker": "nbest.experiments.bench.faults.harmful:KillsWorker",
    "raises": "nbest.experiments.bench.faults.harmful:Raises",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many samples a run draws, and how fast an engine is."""

    queries: int = 200
    n: int = 8
    token_s: float = 0.02  # of every sample: each has one token
    max_concurrency: int = 16
    special: Mapping[str, str] = field(default_factory=dict)  # more questions, by id
    sections: Mapping[str, object] = field(default_factory=dict)  # of the config

    @property
    def samples(self) -> int:
        return self.queries * self.n

    @property
    def span_s(self) -> float:
        """The seconds that one engine takes for all samples."""
        return self.samples / self.max_concurrency * self.token_s


class Workplace:
    """One config, and any number of runs of it. Every run has a journal of its requests."""

    def __init__(self, folder: Path, load: Load, uri: Callable[[str], str] | None = None) -> None:
        """`uri` says where the run of a name is kept; None keeps runs in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._uri = uri
        self.load = load
        self._write_plugins()
        questions = {f"q{i}": f"What is {i}?" for i in range(load.queries)} | dict(load.special)
        rows = ({"id": i, "question": text, "answer": "42"} for i, text in questions.items())
        (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "config.yaml").write_text(json.dumps(self._config()))  # JSON is YAML

    def path(self, run: str) -> Path:
        return self.folder / run

    def place_of(self, run: str) -> StrPath:
        """The folder or the URI of a run."""
        return self.path(run) if self._uri is None else self._uri(run)

    def journal(self, run: str) -> Path:
        """The journal of a run: beside the runs, so that it survives a full disk of theirs."""
        return self.folder / f"{run.replace('/', '-')}.journal"

    @contextmanager
    def started(
        self,
        run: str,
        where: Where,
        *settings: str,
        options: tuple[str, ...] = (),
        before: tuple[str, ...] = (),
    ) -> Iterator[Process]:
        """Start `nbest run` into the folder of that name; `before` is as in `python`."""
        settings = (where.setting, f"model.journal={self.journal(run)}", *settings)
        sets = [part for setting in settings for part in ("--set", setting)]
        args = ["run", "config.yaml", "--out", str(self.place_of(run)), *sets, *options]
        # Ray's processes change their titles, and must not do so over their environment.
        env = {"SPT_NOENV": "1", "COLUMNS": "200", "PYTHONPATH": self._import_path(), **where.env}
        with python("nbest", *args, folder=self.folder, env=env, before=before) as process:
            yield process

    def run(self, run: str, where: Where, *settings: str, options: tuple[str, ...] = ()) -> Ended:
        """Start a run, and wait for its end."""
        with self.started(run, where, *settings, options=options) as process:
            return process.wait()

    def timed(self, run: str, where: Where, *settings: str) -> tuple[Ended, float]:
        """Run to the end; also the seconds from the first request to the end."""
        with self.started(run, where, *settings) as process:
            wait_until(lambda: self.has_drawn(run), process)
            began_s = time.monotonic()
            return process.wait(), time.monotonic() - began_s

    def kill_after(self, moment_s: float, run: str, process: Process) -> bool:
        """Kill a run some seconds after its first request; whether it was still running."""
        wait_until(lambda: self.has_drawn(run), process)
        time.sleep(moment_s)
        was_running = process.is_running
        process.send(signal.SIGKILL)
        process.wait()
        return was_running

    def has_drawn(self, run: str) -> bool:
        """Whether an engine has been given a request."""
        return self.journal(run).exists()

    def num_parts(self, run: str) -> int:
        """How many files of samples are committed."""
        return len(list(self.path(run).glob("samples/*.parquet")))

    def _config(self) -> dict[str, object]:
        return {
            "name": "t",
            "seed": 1,
            "dataset": {"kind": "jsonl", "path": "questions.jsonl"},
            "prompt": {"template": "Q: {question}"},
            "model": {
                "backend": "faulty_fake",
                "answers": ["42", "41", "40"],
                "weights": [3, 2, 1],
                "token_s": self.load.token_s,
                "max_concurrency": self.load.max_concurrency,
            },
            "sampling": {"logprobs": 0},
            "strategy": {"n": self.load.n},
            "select": ["vote"],
            "extract": "last_number",
            "grade": "number",
            "cluster": {"local": True},
            **self.load.sections,
        }

    def _import_path(self) -> str:
        return f"{ROOT}:{self.folder / 'plugins'}"

    def _write_plugins(self) -> None:
        """Write the entry points of a plugin package, whose selectors misbehave."""
        info = self.folder / "plugins" / "nbest_faults-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nbest-faults\nVersion: 1.0\n")
        lines = [f"{name} = {where}\n" for name, where in PLUGINS.items()]
        (info / "entry_points.txt").write_text("[nbest.scorers]\n" + "".join(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A place to run: a setting of the config, and variables of the environment."""

    name: str
    setting: str
    env: Mapping[str, str] = field(default_factory=dict)


LOCAL = Where(name="local", setting="cluster={local: true}")


def on_ray(
    engines: int = 2,
    workers: int = 2,
    *,
    address: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Where:
    """Ray: started on this machine for the run, or the cluster at that address."""
    address_part = "" if address is None else f", address: '{address}'"
    return Where(
        name="ray" if address is None else "joined",
        setting=f"cluster={{engines: {engines}, workers: {workers}{address_part}}}",
        env=env or {},
    )


BOTH = (LOCAL, on_ray())
