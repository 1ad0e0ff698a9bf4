"""The runs of a folder, at a glance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from nbest.experiments.runs.selectors import model_name_of
from nbest.orchestrator.errors import InputError, NbestError, error_text
from nbest.orchestrator.store.reader import RunReader


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListed:
    """A run folder at a glance."""

    path: str
    created: str  # ISO 8601, UTC
    model: str
    questions: int
    ended: int  # questions with a record
    selectors: tuple[str, ...]
    error: str = ""  # why it cannot be read

    def as_json(self) -> dict[str, object]:
        """What `--json` prints of it."""
        return asdict(self)

    def cells(self) -> tuple[str, ...]:
        """The cells of its line in a table."""
        if self.error:
            return (self.path, "", self.error, "", "", "")
        made = self.created[:16].replace("T", " ")
        counts = (f"{self.questions:,}", f"{self.ended:,}")
        return (self.path, made, self.model, *counts, ", ".join(self.selectors))


def runs_in(folder: str) -> list[RunListed]:
    """The runs of a folder, the newest first; InputError where there is no such folder."""
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"folder must be one that holds runs, got {folder!r}")
    found = [_run(path) for path in sorted(place.iterdir()) if (path / "run.json").is_file()]
    return sorted(found, key=lambda one: one.created, reverse=True)


def _run(path: Path) -> RunListed:
    try:
        reader = RunReader(path)
        select = reader.manifest.config.get("select")
        return RunListed(
            path=str(path),
            created=reader.manifest.created,
            model=model_name_of(reader),
            questions=len(reader.query_ids),
            ended=len({record.query_id for record in reader.records()}),
            selectors=tuple(map(str, select)) if isinstance(select, list) else (),
        )
    except NbestError as error:
        return RunListed(
            path=str(path),
            created="",
            model="",
            questions=0,
            ended=0,
            selectors=(),
            error=error_text(error),
        )
