"""What a check of a config does not pay for: engines, Ray, task libraries, Arrow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = ("vllm", "torch", "ray", "transformers", "pyarrow", "datasets", "reasoning_gym", "pandas")
PROGRAM = f"""
import sys, json
from pathlib import Path
from nbest.experiments.config.config import load_config
for name in ("demo", "gsm8k"):
    load_config(Path("experiments/configs") / (name + ".yaml"))
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_checking_a_config_imports_nothing_heavy() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_a_missing_extra_says_how_to_install_it() -> None:
    program = """
import sys
sys.modules["datasets"] = sys.modules["reasoning_gym"] = None  # as if not installed
from nbest.experiments.questions.datasets.hub import HubData
from nbest.experiments.questions.datasets.tasks import TaskData
from nbest.orchestrator.errors import InputError
for dataset in (HubData(repo="a/b"), TaskData(task="chain_sum")):
    try:
        dataset.load()
    except InputError as error:
        print(error)
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    need = "need a package that is not installed: pip install"
    assert done.stdout.splitlines() == [
        f"data sets from the hub {need} 'nbest[hf]'",
        f"reasoning-gym tasks {need} 'nbest[tasks]'",
    ]
