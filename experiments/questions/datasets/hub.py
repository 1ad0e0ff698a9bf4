"""Questions from a data set on the Hugging Face hub, or in a folder that its library can read.

Needs the extra `hf`. Nothing is downloaded before `load`. It knows no prompt and no grader.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nbest.experiments.language.optional_packages import optional
from nbest.experiments.language.text import one_line, shown
from nbest.experiments.questions.datasets.rows import Columns
from nbest.experiments.questions.items import Item, Questions, checked, with_shots
from nbest.orchestrator.errors import InputError


class HubData(Columns):
    """One split of a data set."""

    kind: Literal["hub"] = Field(default="hub", description="What holds the questions.")
    repo: str = Field(min_length=1, description="Its id, as openai/gsm8k.")
    config: str | None = Field(default=None, description="Its configuration, as main.")
    split: str = Field(default="test", description="The split that is asked.")
    revision: str | None = Field(
        default=None, description="A branch, tag or commit. Default: the newest."
    )
    shots_split: str | None = Field(
        default=None,
        description="The split whose first rows become the worked examples. "
        "Default: the first rows of `split`, which are then not asked.",
    )

    def load(self, shots: int = 0, limit: int | None = None) -> Questions:
        """Load the first `limit` questions and `shots` worked examples; no limit changes these."""
        items = self._read(self.split)
        others = None if self.shots_split is None else self._read(self.shots_split)
        return checked(with_shots(items, shots, others), f"{self.repo} {self.split}", limit)

    def _read(self, split: str) -> tuple[Item, ...]:
        library = optional("datasets", "data sets from the hub", "hf")
        try:
            table = library.load_dataset(
                self.repo, self.config, split=split, revision=self.revision
            )
            rows = list(enumerate(table, start=1))
        except Exception as error:  # the library raises what its network and file layers raise
            raise InputError(
                f"dataset.repo must be a data set that can be fetched, got {shown(self.repo)} "
                f"({type(error).__name__}: {one_line(error)})"
            ) from error
        name = self.name or self.repo.rstrip("/").rpartition("/")[2]
        return self.items(rows, f"{self.repo} {split}", name)
