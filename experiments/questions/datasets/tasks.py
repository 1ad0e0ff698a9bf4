"""Questions that are generated: reasoning-gym's procedural tasks. Needs the extra `tasks`.

The same settings generate the same questions everywhere, with the version of reasoning-gym that
this project pins. It knows no prompt; how answers are graded is the business of `grader_tasks`.
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

from nbest.experiments.language.extras import reasoning_gym
from nbest.experiments.language.section import Section
from nbest.experiments.language.text import one_line, shown, suggestion
from nbest.experiments.questions.gold import Gold
from nbest.experiments.questions.items import Item, Questions, checked, with_shots
from nbest.orchestrator.errors import InputError

# How many candidates for worked examples are drawn before giving up on a task with few questions.
MAX_DRAWS = 1000


class Task(Protocol):
    """A reasoning-gym dataset, as far as it is used here."""

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...


class TaskData(Section):
    """One task of reasoning-gym."""

    kind: Literal["reasoning_gym"] = "reasoning_gym"
    task: str = Field(min_length=1, description="Its name in reasoning-gym, as chain_sum.")
    size: int = Field(default=100, ge=1, description="How many questions to generate.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Which questions to generate.")
    options: dict[str, JsonValue] = Field(
        default_factory=dict, description="The task's own settings, as {min_terms: 2}."
    )

    def load(self, shots: int = 0, limit: int | None = None) -> Questions:
        """The first `limit` questions, and `shots` worked examples, the same whatever the limit."""
        # Examples differ from all the questions of this seed, so that a limit changes no prompt.
        wanted = self.size if shots or limit is None else min(self.size, limit)
        items = tuple(self._items(self.seed, self.size, wanted))
        others = self._items(shots_seed(self.seed), MAX_DRAWS, MAX_DRAWS)
        return checked(with_shots(items, shots, others), self.task, limit)

    def _items(self, seed: int, size: int, wanted: int) -> Iterator[Item]:
        """The first `wanted` of the `size` questions of a seed, generated one by one."""
        self._check_names(reasoning_gym().factory.DATASETS)
        with _guarded(f"dataset.options: {self.task} refuses {shown(self.options)}"):
            task: Task = reasoning_gym().create_dataset(
                self.task, seed=seed, size=size, **self.options
            )
        for index in range(wanted):
            with _guarded(f"dataset.options: {self.task} fails with {shown(self.options)}"):
                entry = task[index]
            gold = Gold(
                answer=str(entry["answer"] or ""), task=self.task, options=self.options, entry=entry
            )
            asked = {"question": str(entry["question"])}
            yield Item(id=f"{self.task}/{index}", fields=asked, gold=gold)

    def _check_names(self, library: Mapping[str, tuple[type, type]]) -> None:
        if self.task not in library:
            raise InputError(f"dataset.task: no task {self.task!r}{suggestion(self.task, library)}")
        known = {field.name for field in fields(library[self.task][1])} - {"seed", "size"}
        for name in self.options:
            if name not in known:
                what = f"no such key{suggestion(name, known)}"
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
    except Exception as error:  # 106 generators by many hands, with settings that nobody checked
        raise InputError(f"{what}: {type(error).__name__}: {one_line(error)}") from error


def shots_seed(seed: int) -> int:
    """The seed of the worked examples: far from that of the questions, for neighbours overlap."""
    digest = blake2b(f"shots/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**31
