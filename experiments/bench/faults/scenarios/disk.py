"""The disk fills up in the middle of a run, which stops, and goes on when there is room.

The disk is a small file system in memory, in a mount namespace that only these processes see.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbest.experiments.bench.faults.account import Account, FaultRow, Setting
from nbest.experiments.bench.faults.checks import conclude, same_results, witness
from nbest.experiments.bench.faults.processes import Ended, Process, wait_until
from nbest.experiments.bench.faults.workplace import BOTH, LOCAL, Load, Where, Workplace

SIZE = "16m"
STOP_S = 5.0
NO_ROOM = "No space left on device"
MOUNT = 'mount -t tmpfs -o size="$1" nbest "$0" && echo mounted && exec sleep infinity'
CHANGE_FOLDER = 'cd "$0" && exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """A disk that can be filled; only the processes inside its namespace see it."""

    path: Path
    holder: Process

    @property
    def inside(self) -> tuple[str, ...]:
        """A command that runs the rest of its arguments inside, in the folder above the disk."""
        enter = ("nsenter", "-t", str(self.holder.pid), "-U", "-m", "--preserve-credentials")
        return (*enter, "sh", "-c", CHANGE_FOLDER, str(self.path.parent))

    def num_parts(self, run: str) -> int:
        """How many files of samples a run has committed, as seen from outside."""
        root = Path(f"/proc/{self.holder.pid}/root")
        return len(list(root.joinpath(*self.path.parts[1:], run).glob("samples/*.parquet")))

    def fill(self) -> None:
        self._do("dd", "if=/dev/zero", f"of={self.path}/ballast", "bs=4096")

    def empty(self) -> None:
        self._do("rm", f"{self.path}/ballast")

    def copy_out(self, run: str, to: Path) -> None:
        shutil.rmtree(to, ignore_errors=True)
        self._do("cp", "-r", f"{self.path}/{run}", str(to))

    def _do(self, *command: str) -> None:
        subprocess.run([*self.inside, *command], capture_output=True, check=False)


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Mount a small disk at `path`, until the context ends."""
    path.mkdir(parents=True)
    command = ["unshare", "-rm", "sh", "-c", MOUNT, str(path), SIZE]
    holder = Process(command, path.parent, {})
    try:
        is_mounted = wait_until(lambda: bool(holder.printed_lines()), holder)
        assert is_mounted, f"no small disk: {holder.wait(1).stderr}"
        yield SmallDisk(path=path, holder=holder)
    finally:
        holder.sweep()


def can_mount() -> bool:
    """Whether this machine allows a mount namespace with a disk of its own."""
    try:
        process = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    except OSError:
        return False
    return process.returncode == 0 and os.path.exists("/proc/self/ns/user")


def full_disk(
    setting: Setting, load: Load | None = None, wheres: Sequence[Where] = BOTH
) -> FaultRow:
    """In each place: fill the disk, try again while it is full, make room, go on."""
    account = Account(scenario="full_disk", patience=setting.patience)
    if not can_mount():
        account.require(False, "this machine allows no mount namespace")
        return account.row()
    place = Workplace(setting.folder, load or Load())
    ended = place.run("whole", LOCAL)
    account.require(ended.status == 0, f"unbroken run: {ended.last_words}")
    reference = same_results(place.path("whole"))
    with small_disk(place.folder / "disk") as disk:
        for where in wheres:
            _fill_up(account, place, disk, where, reference)
            setting.tell(f"full_disk, {where.name}: {account.summary}")
    return account.row()


def _fill_up(
    account: Account, place: Workplace, disk: SmallDisk, where: Where, reference: str
) -> None:
    run, copy = f"disk/{where.name}", f"disk-{where.name}"
    account.rounds += 1
    with place.started(run, where, before=disk.inside) as process:
        wait_until(lambda: disk.num_parts(where.name) > 0, process)
        account.require(process.is_running, f"{where.name}: it ended before the disk was full")
        disk.fill()
        full_s = time.monotonic()
        ended = process.wait()
    took_s = time.monotonic() - full_s
    account.require_in_time(took_s, STOP_S, f"{where.name}: it stopped")
    account.remarks.append(f"{where.name}: stopped after {took_s:.1f} s")
    _require_one_line(account, f"{where.name}, filled", ended)
    disk.copy_out(where.name, place.path(copy))
    snapshot = witness(place.path(copy), place.journal(copy))
    _require_one_line(account, f"{where.name}, still full", _again(place, run, where, disk))
    disk.empty()
    ended = _again(place, run, where, disk)
    account.require(ended.status == 0, f"{where.name}, room again: {ended.last_words}")
    disk.copy_out(where.name, place.path(copy))
    conclude(account, place, copy, reference, [snapshot])


def _again(place: Workplace, run: str, where: Where, disk: SmallDisk) -> Ended:
    with place.started(run, where, before=disk.inside) as process:
        return process.wait()


def _require_one_line(account: Account, what: str, ended: Ended) -> None:
    account.require(ended.status == 1, f"{what}: exit status {ended.status}")
    lines = [line for line in ended.stderr.splitlines() if line.startswith("nbest: ")]
    is_clear = len(lines) == 1 and NO_ROOM in lines[0] and "Traceback" not in ended.stderr
    account.require(is_clear, f"{what}: {len(lines)} lines, the last: {ended.last_words}")
