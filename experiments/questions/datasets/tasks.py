"""Generated questions: reasoning-gym's procedural tasks. Needs the extra `tasks`.

The same settings generate the same questions everywhere, with the version of reasoning-gym that
this project pins. It knows no prompt; `graders/tasks.py` grades the answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields
from hashlib import blake2b
from io import StringIO
from typing import Any, Literal, Protocol

from pydantic import Field, JsonValue

from nbest.experiments.language.optional_packages import reasoning_gym
from nbest.experiments.language.section import Section
from nbest.experiments.language.text import one_line, shown, suggestion
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.items import Item, Questions, checked, with_shots
from nbest.orchestrator.errors import InputError

# How many candidates for worked examples are drawn before giving up on a task with few questions.
MAX_DRAWS = 1000


class Task(Protocol):
    """The part of a reasoning-gym dataset that is used here."""

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...


class TaskData(Section):
    """One task of reasoning-gym."""

    kind: Literal["reasoning_gym"] = Field(
        default="reasoning_gym", description="What holds the questions."
    )
    task: str = Field(min_length=1, description="Its name in reasoning-gym, as chain_sum.")
    size: int = Field(default=100, ge=1, description="How many questions to generate.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Which questions to generate.")
    options: dict[str, JsonValue] = Field(
        default_factory=dict, description="The task's own settings, as {min_terms: 2}."
    )

    def load(self, shots: int = 0, limit: int | None = None) -> Questions:
        """Load the first `limit` questions and `shots` worked examples; no limit changes these."""
        # Examples differ from all the questions of this seed, so that a limit changes no prompt.
        count = self.size if shots or limit is None else min(self.size, limit)
        items = tuple(self._items(self.seed, self.size, count))
        others = self._items(shots_seed(self.seed), MAX_DRAWS, MAX_DRAWS)
        return checked(with_shots(items, shots, others), self.task, limit)

    def _items(self, seed: int, size: int, count: int) -> Iterator[Item]:
        """Generate, one by one, the first `count` of the `size` questions of a seed."""
        self._check_names(reasoning_gym().factory.DATASETS)
        with _guarded(f"dataset.options: {self.task} refuses {shown(self.options)}"):
            task: Task = reasoning_gym().create_dataset(
                self.task, seed=seed, size=size, **self.options
            )
        for index in range(count):
            with _guarded(f"dataset.options: {self.task} fails with {shown(self.options)}"):
                entry = task[index]
            gold = Gold(
                answer=str(entry["answer"] or ""), task=self.task, options=self.options, entry=entry
            )
            columns = {"question": str(entry["question"])}
            yield Item(id=f"{self.task}/{index}", fields=columns, gold=gold)

    def is_known(self) -> bool:
        """Whether reasoning-gym has the task."""
        return self.task in reasoning_gym().factory.DATASETS

    def _check_names(self, library: Mapping[str, tuple[type, type]]) -> None:
        if self.task not in library:
            raise InputError(f"dataset.task: no task {self.task!r}{suggestion(self.task, library)}")
        settings = {field.name for field in fields(library[self.task][1])} - {"seed", "size"}
        for name in self.options:
            if name not in settings:
                what = f"no such key{suggestion(name, settings)}"
                raise InputError(f"dataset.options.{name}: {what}")


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Keep the library's prints and warnings from the terminal, and its errors to one line."""
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:  # the library's 106 generators do not check their settings
        raise InputError(f"{what}: {type(error).__name__}: {one_line(error)}") from error


def shots_seed(seed: int) -> int:
    """The seed of the worked examples, far from that of the questions: near seeds overlap."""
    digest = blake2b(f"shots/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**31
