"""Data sets by way of the Hugging Face library, from a folder: no network here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys
from nbest.experiments.questions.datasets.hub import HubData
from nbest.orchestrator.errors import InputError
for settings in ({"shots_split": "train"}, {"split": "nope"}, {"repo": "nobody/nothing"}):
    try:
        questions = HubData(**{"repo": sys.argv[1], **settings}).load(1)
        print([item.id for item in questions.items], questions.shots[0].gold.answer)
    except InputError as error:
        print(error)
"""


def test_a_folder_is_read_and_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    # In a process of its own: the library reads its environment once, when it is imported.
    folder = tmp_path / "sums"
    folder.mkdir()
    for split, start in (("test", 0), ("train", 10)):
        rows = [{"question": f"{i}+1", "answer": i + 1} for i in range(start, start + 3)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    read, split, missing = done.stdout.splitlines()
    assert read == "['sums/1', 'sums/2', 'sums/3'] 11"
    assert split.startswith("dataset.repo must be a data set that can be fetched, got ")
    assert "nope" in split
    assert missing.startswith(
        "dataset.repo must be a data set that can be fetched, got 'nobody/nothing' ("
    )
