"""Stores in the run directory what people chose among its samples.

Each sitting has a file of its own, `choices/STAMP-WRITER.json`, which is rewritten whole at every
choice: a choice that the screen has confirmed survives any crash, and two people never write to
one file. The latest choice about a query counts.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from nbest.orchestrator.errors import StoreError
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.store.format.files import RunFolder

CHOICES = "choices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One decision of a person."""

    query_id: str
    index: int | None  # of the best sample; None: skipped, or none of them is right
    shown: tuple[int, ...]  # indices of the samples on the screen, in their order
    at_ns: int  # nanoseconds since 1970
    by: str = ""  # name of the person
    tied: tuple[int, ...] = ()  # further samples that are as good
    none_right: bool = False  # somebody has looked, and found none of them right
    comment: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether it says what is best; a question that was skipped has no answer of anybody."""
        return self.index is not None or self.none_right

    def rejected(self, texts: Mapping[int, str]) -> list[str]:
        """The texts, by index, that were shown and are not as good as the best, in their order."""
        if self.index is None:
            return []
        as_good = {texts.get(index) for index in (self.index, *self.tied)}
        shown = (texts[index] for index in self.shown if index in texts)
        return [text for text in shown if text not in as_good]


class Sitting:
    """The choices of one person at one time; each is durable when `add` or `undo` returns."""

    def __init__(self, run: StrPath, by: str = "") -> None:
        self._folder = RunFolder(run)
        self._name = f"{CHOICES}/{time.time_ns():020d}-{secrets.token_hex(4)}.json"
        self._by = by
        self.choices: list[Choice] = []

    def add(
        self,
        query_id: str,
        index: int | None,
        shown: Sequence[int],
        *,
        tied: Sequence[int] = (),
        none_right: bool = False,
        comment: str = "",
    ) -> None:
        """Keep a choice; None as the index skips the question, or says that none is right."""
        choice = Choice(
            query_id=query_id,
            index=index,
            shown=tuple(shown),
            at_ns=time.time_ns(),
            by=self._by,
            tied=tuple(tied),
            none_right=none_right,
            comment=comment,
        )
        self._commit([*self.choices, choice])

    def undo(self) -> Choice | None:
        """Take back the last choice of this sitting and return it; None where there is none."""
        if not self.choices:
            return None
        last = self.choices[-1]
        self._commit(self.choices[:-1])
        return last

    def _commit(self, choices: list[Choice]) -> None:
        self._folder.add_folder(CHOICES)
        self._folder.commit(self._name, json.dumps([asdict(c) for c in choices]).encode())
        self.choices = choices


def read_choices(run: StrPath) -> dict[str, Choice]:
    """Return the choice that counts, by query id. StoreError names a file that cannot be read."""
    folder = RunFolder(run)
    latest: dict[str, Choice] = {}
    for choice in sorted(_all_choices(folder), key=lambda choice: choice.at_ns):
        latest[choice.query_id] = choice
    return latest


def _all_choices(folder: RunFolder) -> Iterable[Choice]:
    for name in folder.files(CHOICES):
        if not name.startswith(".") and name.endswith(".json"):
            yield from _choices_in(folder, f"{CHOICES}/{name}")


def _choices_in(folder: RunFolder, name: str) -> list[Choice]:
    try:
        rows = json.loads(folder.read(name))
        return [
            Choice(**{**row, "shown": tuple(row["shown"]), "tied": tuple(row.get("tied", ()))})
            for row in rows
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{folder.path}/{name} is damaged: {error}") from error
