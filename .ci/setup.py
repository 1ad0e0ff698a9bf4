"""Make .venv whole: the locked packages of this machine's build of vLLM, and nbest itself.

    python3 .ci/setup.py [--python PYTHON] [--build cpu|cuda] [--torch-index ADDRESS]

It runs before anything is installed, so it imports the standard library only and works on any
Python since 3.8; the Python that goes into .venv is 3.11 or 3.12. The last file that it writes is
a marker that names what was installed: a .venv without it, or with another one, is built anew.
Every failure ends in one line that says what to do. It knows no model.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ("3.11", "3.12")
TORCH_LOCK = "requirements-cpu-torch.lock"
LOCKS = {"cpu": ("requirements-cpu.lock", TORCH_LOCK), "cuda": ("requirements-cuda.lock",)}
CHECKS = {"cpu": "import torch", "cuda": "import torch; torch.zeros(1, device='cuda')"}

# An engine imports some ten thousand files; from source, that takes half a minute each time where
# nothing writes bytecode. Files that are no Python of this version are passed over.
COMPILE = (
    "import compileall, sysconfig;"
    " compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2, workers=0)"
)

PYTORCH = "install PyTorch"  # in the cuda build it is one of the packages

NETWORK = "the package index cannot be reached: check the network, the proxy and pip's settings"
NO_TORCH = (
    "no CPU build of PyTorch is offered here: run it again with TORCH_INDEX=ADDRESS, the address of"
    " PyTorch's CPU wheels, or a folder that holds the wheel"
)
ADVICE = (  # the first whose pattern is in the output of the failed step
    (r"No space left on device", "the disk is full: free 6 GB (16 GB for cuda) and run it again"),
    (r"DO NOT MATCH THE HASHES|[Hh]ash mismatch", "a download differs from the lock: run it again"),
    (r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|CERTIFICATE", NETWORK),
    (r"error sending request|dns error|Failed to fetch|[Tt]imed out", NETWORK),
    (r"No matching distribution found for torch", NO_TORCH),
    (r"No matching distribution found", NETWORK),
    (r"Python\.h|\bgcc\b|\bcc\b", "a package must be compiled: install gcc and python3-dev"),
    (
        r"NVIDIA driver|CUDA error|not compiled with CUDA",
        "PyTorch cannot use the GPU: see its driver",
    ),
)


class SetupError(Exception):
    """One line for the person who ran it."""


class Step(NamedTuple):
    """One command of the set-up."""

    what: str
    command: Sequence[str]
    without_uv: Sequence[str] = ()  # tried if uv finds no network: pip has settings that uv ignores


def advise(log: str, build: str) -> str:
    """What to do about a step that failed with this output."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["no output"]
    known = (advice for pattern, advice in ADVICE if re.search(pattern, log))
    otherwise = "" if build == "cpu" else "; BUILD=cpu does without the GPU"
    return next(known, lines[-1]) + otherwise


def probe(python: str) -> tuple[str, bool]:
    """(version, has venv and pip) of an interpreter; ("", False) if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], flush=True); import ensurepip, venv"
    try:
        ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return "", False
    return ran.stdout.strip(), ran.returncode == 0


def find_python(named: str = "", folder: str = "") -> str:
    """A Python that can make .venv: the named one, or the first in `folder/` or on the PATH."""
    candidates = [named] if named else [f"{folder}python{version}" for version in (*SUPPORTED, "3")]
    versions = {python: probe(python) for python in candidates}
    fit = [python for python, (version, _) in versions.items() if version in SUPPORTED]
    whole = [python for python in fit if versions[python][1]]
    if not whole:
        raise SetupError(_no_python(named, fit, versions))
    return whole[0]


def _no_python(named: str, fit: list[str], versions: dict[str, tuple[str, bool]]) -> str:
    if fit:
        package = f"python{versions[fit[0]][0]}-venv"
        return f"{fit[0]} has no venv module: install it (Debian, Ubuntu: {package})"
    if named:
        got = versions[named][0] or "nothing that runs"
        return f"PYTHON must be Python 3.11 or 3.12, got {named} ({got})"
    return "no Python 3.11 or 3.12 found: install one, or name one, PYTHON=/path/to/python3.11"


def choose_build(wanted: str, nvidia_smi: str = "nvidia-smi") -> str:
    """`cuda` on a machine with an NVIDIA GPU, `cpu` elsewhere, or what is wanted."""
    if wanted not in ("", "cpu", "cuda"):
        raise SetupError(f"BUILD must be cpu or cuda, got {wanted}")
    if wanted:
        return wanted
    try:
        listed = subprocess.run([nvidia_smi, "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return "cpu"
    return "cuda" if listed.returncode == 0 and "GPU 0" in listed.stdout else "cpu"


def fingerprint(root: Path, build: str) -> str:
    """Changes with the locks, the project's own settings, the build and the place."""
    digest = hashlib.sha256(f"{root} {build}".encode())
    for name in (*LOCKS[build], "pyproject.toml", ".ci/setup.py"):
        digest.update((root / name).read_bytes())
    return f"{build} {digest.hexdigest()}"


def is_ready(root: Path, wanted: str) -> bool:
    """Is the environment that stands here whole, and the one that is wanted?"""
    try:
        found = (root / ".venv/ready").read_text()
        build = found.partition(" ")[0]
        fits = build in LOCKS and wanted in ("", build) and found == fingerprint(root, build)
        return fits and (root / ".venv/bin/python").exists()
    except OSError:
        return False


def locked(lock: str, *names: str) -> str:
    """The part of a lock file that pins these packages, hashes included."""
    pins = [re.search(rf"^{name}==.*(?:\n .*)*", lock, re.M) for name in names]
    return "".join(f"{pin.group()}\n" for pin in pins if pin)


def steps(root: Path, python: str, build: str, torch_index: str) -> list[Step]:
    """The commands that fill .venv. pip comes with Python and brings uv, ten times as fast."""
    own = str(root / ".venv/bin/python")
    pip = [own, "-m", "pip", "install", "--no-compile", "--progress-bar=off", "--retries=2"]
    uv = [own, "-m", "uv", "pip", "install", f"--python={own}"]
    exact = ["--no-deps", "--require-hashes", "--no-build-isolation", "-r"]
    every, few, torch = LOCKS[build][0], ".venv/bootstrap.lock", TORCH_LOCK
    project = ["--no-deps", "--no-build-isolation", "-e", str(root)]
    # Only the package that lives there may come from one index more.
    index = [f"--extra-index-url={torch_index}", f"--find-links={torch_index}"]
    all_steps = [
        Step("create .venv", [python, "-m", "venv", str(root / ".venv")]),
        Step("install the installer", [*pip, *exact, str(root / few)]),
        Step(PYTORCH, [*pip, *exact, str(root / torch), *(index if torch_index else [])]),
        Step(
            "install the packages",
            [*uv, *exact, str(root / every)],
            [*pip, *exact, str(root / every)],
        ),
        Step("install nbest", [*uv, *project], [*pip, *project]),
        Step("compile the packages", [own, "-c", COMPILE]),
        Step("import PyTorch", [own, "-c", CHECKS[build]]),
    ]
    return [step for step in all_steps if build == "cpu" or step.what != PYTORCH]


def take(step: Step, log: Path, build: str) -> None:
    """Run one step; raise the one line if it fails."""
    with log.open("ab") as out:
        begin = out.tell()
        out.write(f"== {step.what}\n".encode())
        out.flush()
        failed = subprocess.run(step.command, stdout=out, stderr=subprocess.STDOUT, check=False)
    if failed.returncode:
        advice = advise(log.read_bytes()[begin:].decode(errors="replace"), build)
        if step.without_uv and advice.startswith(NETWORK):
            return take(step._replace(command=step.without_uv, without_uv=()), log, build)
        raise SetupError(f"{step.what}: {advice} (log: {log})")
    return None


def set_up(root: Path, python: str, wanted: str, torch_index: str) -> None:
    """Build .venv anew; its marker is written last."""
    if not sys.platform.startswith("linux"):
        raise SetupError(f"the set-up works on Linux, not on {sys.platform}: use a container")
    build, found = choose_build(wanted), find_python(python)
    venv = root / ".venv"
    if venv.exists():
        shutil.rmtree(venv)
    venv.mkdir()
    pins = locked((root / LOCKS[build][0]).read_text(), "setuptools", "uv")
    (venv / "bootstrap.lock").write_text(pins)
    for step in steps(root, found, build, torch_index):
        start = time.monotonic()
        print(f"setup ({build}): {step.what} ...", end=" ", flush=True)
        try:
            take(step, venv / "setup.log", build)
        finally:
            print(f"{time.monotonic() - start:.0f} s", flush=True)
    (venv / "ready").write_text(fingerprint(root, build))


def arguments() -> argparse.Namespace:
    """The command line. An empty value is the same as none, which suits make."""
    parser = argparse.ArgumentParser(description="Make .venv whole.")
    parser.add_argument("--python", default="", help="a Python 3.11 or 3.12; default: look for one")
    parser.add_argument("--build", default="", help="cpu or cuda; default: cuda if there is a GPU")
    parser.add_argument("--torch-index", default="", help="where CPU wheels of PyTorch are offered")
    return parser.parse_args()


def main() -> int:
    """Set up unless all is there, and turn every failure into a line."""
    args = arguments()
    try:
        with open(__file__) as turn:  # one at a time: a second `make` waits, and finds it done
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not is_ready(ROOT, args.build):
                set_up(ROOT, args.python, args.build, args.torch_index)
        return 0
    except SetupError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename or ROOT}: {advise(error.strerror or str(error), 'cpu')}"
    except KeyboardInterrupt:
        message = "interrupted: the next run starts again"
    print(f"setup: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
