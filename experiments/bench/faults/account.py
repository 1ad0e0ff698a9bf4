"""The input and the result of a fault scenario, and the account that it keeps meanwhile.

It knows no process, no file and no fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """The result of one scenario. It holds if every count but that of the kills is zero."""

    scenario: str
    rounds: int
    kills: int  # processes that were killed, stopped or interrupted
    lost: int  # samples: committed and then gone or changed, or never drawn
    duplicated: int  # keys that stand in the files of a finished run more than once
    regenerated: int  # samples that were drawn again although they were committed
    unequal: int  # runs whose results differ from those of an unbroken run
    seconds: float
    holds: bool
    note: str  # the complaints, or else the remarks

    def as_json(self) -> dict[str, str | int | float | bool]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The seed and the number of rounds of a scenario, and where it may write."""

    folder: Path
    rounds: int
    seed: int  # of the moments of the kills
    tell: Callable[[str], None]  # progress, one line
    patience: float = 1.0  # time limits are multiplied by it


Scenario = Callable[[Setting], FaultRow]


@dataclass(slots=True, kw_only=True)
class Account:
    """Keeps the counts of a scenario while it goes on."""

    scenario: str
    rounds: int = 0
    kills: int = 0
    lost: int = 0
    duplicated: int = 0
    regenerated: int = 0
    unequal: int = 0
    complaints: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # worth telling, but no fault
    patience: float = 1.0
    started_s: float = field(default_factory=time.monotonic)

    def require(self, holds: bool, complaint: str) -> None:
        """Keep the complaint unless it holds."""
        if not holds:
            self.complaints.append(complaint)

    def require_in_time(self, took_s: float, limit_s: float, what: str) -> None:
        """Keep a complaint where it took longer than the limit, stretched by the patience."""
        self.require(took_s <= self.patience * limit_s, f"{what} after {took_s:.1f} s")

    @property
    def summary(self) -> str:
        """The counts in words, for progress."""
        return (
            f"{self.kills} kills, {self.lost} lost, {self.duplicated} duplicated, "
            f"{self.regenerated} regenerated, {self.unequal} unequal, "
            f"{len(self.complaints)} complaints"
        )

    def row(self) -> FaultRow:
        counted = self.lost + self.duplicated + self.regenerated + self.unequal
        return FaultRow(
            scenario=self.scenario,
            rounds=self.rounds,
            kills=self.kills,
            lost=self.lost,
            duplicated=self.duplicated,
            regenerated=self.regenerated,
            unequal=self.unequal,
            seconds=round(time.monotonic() - self.started_s, 1),
            holds=not self.complaints and counted == 0,
            note="; ".join(self.complaints or self.remarks),
        )
