"""Programs in environments of their own, with packages that ours does not have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def isolated(folder: Path, packages: list[str], *words: str, with_nbest: bool = False) -> str:
    """Run Python with packages from the index; returns what it prints.

    With nbest, our own packages are there as well. Where the index lacks one, the test is
    skipped.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("there is no uv here")
    command = [uv, "run", "--no-project", "--isolated", "--python", sys.executable]
    for package in packages:
        command += ["--with", package]
    paths = [str(ROOT), sysconfig.get_path("purelib")] if with_nbest else []
    done = subprocess.run(
        [*command, "python", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if "Failed to fetch" in done.stderr or "No solution found" in done.stderr:
        pytest.skip(f"the package index has no {' '.join(packages)} for us")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
