"""Writes a starter: a config and its questions, in a folder of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from nbest.experiments.language.text import suggestion
from nbest.orchestrator.errors import InputError

PACKAGE = "nbest.experiments.starters"
STARTERS: Mapping[str, str] = {
    "own": "questions of your own with short answers",
    "choice": "multiple choice",
    "json": "records from sentences, as JSON of a schema",
    "sql": "questions to a database, as queries",
    "code": "Python functions with tests",
    "gsm8k": "word problems in the format of GSM8K",
}
CONFIG = "config.yaml"


def write_starter(kind: str, folder: Path) -> list[Path]:
    """Write the files of a starter, and return them, the config first.

    InputError where there is no such kind, or one of the files is there already.
    """
    if kind not in STARTERS:
        raise InputError(f"no starter named {kind!r}{suggestion(kind, STARTERS)}")
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in (files(PACKAGE) / kind).iterdir()
        if file.is_file()
    }
    paths = [folder / name for name in sorted(texts, key=lambda name: (name != CONFIG, name))]
    for path in paths:
        if path.exists():
            raise InputError(f"{path} must not be there yet: give another folder with --out")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", folder.resolve().name) or kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            text = texts[path.name]
            if path.name == CONFIG:
                text = text.replace("{folder}", folder.as_posix()).replace("{name}", name)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        rule = f"be a folder that can be written ({error.strerror})"
        raise InputError(f"out must {rule}, got {folder}") from error
    return paths
