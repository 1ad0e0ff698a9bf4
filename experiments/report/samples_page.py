"""The page of `nbest view` beside a report, so that its questions lead to their samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from nbest.experiments.questions.reading import ReadingNames
from nbest.experiments.runs.selectors import named
from nbest.experiments.view.page_file import write_page
from nbest.experiments.view.viewed_run import ViewedRun
from nbest.orchestrator.files import StrPath
from nbest.orchestrator.requirements import require

HELD = 500  # questions whose samples the page holds; of the others it has the row


def samples_link(samples: Path, out: Path) -> str:
    """The address of the samples' page as seen from the report's."""
    require(samples.resolve() != out.resolve(), "samples", "be another file than out", str(samples))
    return quote(Path(os.path.relpath(samples.resolve(), out.resolve().parent)).as_posix())


def write_samples(
    runs: Sequence[StrPath],
    samples: Path,
    selectors: str | None,
    by: ReadingNames | None,
    *,
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write the page with the samples of the runs."""
    names = named(selectors)
    return write_page(
        [ViewedRun(run, names, by) for run in runs], samples, HELD, force=force, tell=tell
    )
