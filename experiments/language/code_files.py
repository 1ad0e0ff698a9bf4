"""Classes of a user's own files: `mine.py:FewestWords` wherever a name is taken.

To load such a file is to run it, so only what a user names does so: the names in a stored run,
which somebody else may have made, are refused (`refuse_code_files`).
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import cast

from nbest.experiments.language.construction import Factory
from nbest.experiments.language.text import one_line, suggestion
from nbest.orchestrator.cluster.code_files import FILE_MODULE
from nbest.orchestrator.errors import InputError

QUOTED = r"""[rR]?"(?:[^"\\]|\\.)*"|[rR]?'(?:[^'\\]|\\.)*'"""
CODE = r"[\w./~+-]+\.py:[A-Za-z_]\w*"
_TOKENS = re.compile(f"(?P<quoted>{QUOTED})|(?P<code>{CODE})", re.DOTALL)


def is_code_file(name: str) -> bool:
    """Whether a name is that of a class in a file."""
    return re.fullmatch(CODE, name) is not None


def names_code_file(text: str) -> bool:
    """Whether an expression names a class in a file, outside its quoted texts."""
    return any(match["code"] for match in _TOKENS.finditer(text))


def refuse_code_files(key: str, value: object) -> None:
    """Raise InputError where a setting of a stored run names a file of code, at any depth."""
    if isinstance(value, str) and names_code_file(value):
        what = f"names code in a file, {value!r}: nbest runs it only if you name it yourself"
        raise InputError(f"{key} of the run {what}")
    if isinstance(value, Mapping):
        for inner in value.values():
            refuse_code_files(key, inner)
    if isinstance(value, list | tuple):
        for inner in value:
            refuse_code_files(key, inner)


def code_file_factory(name: str, noun: str) -> Factory:
    """Load `file.py:Class`; InputError where there is no such file or class, or it fails."""
    file, _, attribute = name.rpartition(":")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise InputError(f"{noun} {name!r}: there is no file {file}")
    module = _module(path, f"{noun} {name!r}")
    factory = getattr(module, attribute, None)
    if not callable(factory):
        near = suggestion(attribute, _classes_of(module))
        raise InputError(f"{noun} {name!r}: {file} has no class {attribute}{near}")
    return cast("Factory", factory)


def _classes_of(module: ModuleType) -> list[str]:
    """The names of what the file itself defines."""
    own = (k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__)
    return [name for name in own if not name.startswith("_")]


def _module(path: Path, what: str) -> ModuleType:
    """The module of a file; the same one for the same contents."""
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"{FILE_MODULE}{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{what}: {path.name} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is run
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is somebody else's code
        del sys.modules[name]
        raise InputError(
            f"{what} cannot be loaded: {type(error).__name__}: {one_line(error)}"
        ) from error
    return module
