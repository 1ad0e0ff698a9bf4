"""The named tasks: where their configs are, and how a file of one's own replaces the hub's.

`nbest run gsm8k --set dataset.path=gsm8k/test.jsonl`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from nbest.experiments.config.config import Config, load_config
from nbest.experiments.language.text import suggestion
from nbest.orchestrator.errors import InputError

PACKAGE = "nbest.experiments.tasks"
TASKS: Mapping[str, str] = {
    "gsm8k": "grade-school mathematics in words; a number",
    "math500": "competition mathematics; an expression in a box",
    "aime": "AIME 2024; a whole number in a box",
    "gpqa": "GPQA diamond: science; one of four options",
    "mmlu_pro": "MMLU-Pro: fourteen fields; one of ten options",
    "humaneval": "HumanEval: Python functions with tests",
    "mbpp": "MBPP: small Python functions with tests",
    "ifeval": "IFEval: instructions that a program checks",
    "bird": "questions to databases in the manner of BIRD; queries",
}
OF_HUB = ("kind", "repo", "config", "split", "shots_split", "revision")


def config_file(name: str) -> Path:
    """The file of a config: a named one, or that of a task; InputError where it is neither."""
    path = Path(name)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return path
    if name not in TASKS:
        near = suggestion(name, TASKS)
        if path.is_dir():
            near = f"; {name} is a folder, as of a config {path / 'config.yaml'}"
        raise InputError(f"no file {name!r}, and no task of that name{near} (nbest list tasks)")
    return Path(str(files(PACKAGE) / f"{name}.yaml"))


def load_task_or_file(name: str, assignments: Sequence[str] = ()) -> Config:
    """Read the config of a YAML file or of a named task, with `--set` assignments in order."""
    path = config_file(name)
    is_task = path != Path(name)
    has_file = any(text.partition("=")[0].strip() == "dataset.path" for text in assignments)
    return load_config(path, assignments, without=OF_HUB if is_task and has_file else ())
