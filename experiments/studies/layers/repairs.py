"""Valid records, corrupted with a seed: how many come back, and how many come back wrong."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbest.experiments.studies.layers.faults import LOSSY, MENDABLE, Fault, record_of
from nbest.scorers.structured.reading import read_json

RECORD = {"type": "object"}

Reader = Callable[[str, bool], Any]
"""Returns the value that is read in a text, or raises ValueError; True: the text was cut off."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of the texts with one fault."""

    recovered: int = 0
    refused: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)  # of wrong ones

    @property
    def total(self) -> int:
        return self.recovered + self.refused + self.wrong


def ours(text: str, is_cut: bool) -> Any:
    """Read as nbest does."""
    reading = read_json(text, schema=RECORD, truncated=is_cut)
    if reading is None:
        raise ValueError("no reading")
    return reading.value


def lenient(text: str, is_cut: bool) -> Any:
    """Read as json_repair does by itself; it does not ask whether a text was cut off."""
    import json_repair

    return json_repair.loads(text)


READERS: Mapping[str, Reader] = {"nbest": ours, "json_repair": lenient}


def corrupted(count: int, seed: int, reader: Reader) -> dict[str, Outcome]:
    """Corrupt so many records, each by one fault in turn, and read them; by fault."""
    chance = random.Random(seed)
    faults = {**MENDABLE, **LOSSY}
    names = list(faults)
    outcomes = {name: Outcome() for name in names}
    skipped: Counter[str] = Counter()
    while sum(outcome.total for outcome in outcomes.values()) < count:
        name = min(names, key=lambda one: outcomes[one].total + skipped[one] / 10**6)
        record = record_of(chance)
        text = faults[name](record, chance)
        if text is None:
            skipped[name] += 1  # it comes again, with another record
            continue
        _count(outcomes[name], text, _meant(name, record), name, reader)
    return outcomes


def _meant(name: str, record: dict[str, Any]) -> dict[str, Any] | None:
    """What the text was meant to say; None where any value of it would be a guess."""
    added = {
        "line break in a text": {"note": "one\ntwo"},
        "backslash of a pattern": {"note": r"\d+ \w"},
    }
    return None if name in LOSSY else record | added.get(name, {})


def _count(
    outcome: Outcome, text: str, meant: dict[str, Any] | None, name: str, reader: Reader
) -> None:
    try:
        value = reader(text, name == "cut anywhere")
    except (ValueError, RecursionError):
        outcome.refused += 1
        return
    if meant is not None and json.dumps(value) == json.dumps(meant):
        outcome.recovered += 1
        return
    outcome.wrong += 1
    if len(outcome.examples) < 3:
        outcome.examples.append(text)


def table_of(count: int, seed: int) -> list[str]:
    """A line for each fault and reader."""
    found = {name: corrupted(count, seed, reader) for name, reader in READERS.items()}
    titles = ("nbest: recovered", "wrong", "json_repair: recovered", "wrong")
    lines = ["{:28} {:>17} {:>6} {:>23} {:>6}".format("fault", *titles)]
    for kinds in (MENDABLE, LOSSY):
        for name in kinds:
            lines.append(_line(name, [outcomes[name] for outcomes in found.values()]))
        title = "all that lose nothing" if kinds is MENDABLE else "all that lose something"
        lines.append(_line(title, [_sum(outcomes, kinds) for outcomes in found.values()]))
    return lines


def _line(name: str, outcomes: list[Outcome]) -> str:
    one, other = outcomes
    return (
        f"{name:28} {one.recovered / one.total:17.3f} {one.wrong:6} "
        f"{other.recovered / other.total:23.3f} {other.wrong:6}"
    )


def _sum(outcomes: Mapping[str, Outcome], kinds: Mapping[str, Fault]) -> Outcome:
    total = Outcome()
    for name in kinds:
        total.recovered += outcomes[name].recovered
        total.refused += outcomes[name].refused
        total.wrong += outcomes[name].wrong
    return total
