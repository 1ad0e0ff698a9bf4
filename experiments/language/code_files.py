"""Classes of a user's own files: `mine.py:FewestWords` wherever a name is taken.

To load such a file is to run it, so it is done for a trusted expression alone: one that the user
has typed, or that stands in the config that is run. A stored run may be somebody else's.
"""

from __future__ import annotations

import hashlib
import re
import sys
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


def is_code_file(name: str) -> bool:
    """Whether a name is that of a class in a file."""
    return re.fullmatch(CODE, name) is not None


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
    # It is somebody else's code; one that ends the process by `sys.exit` has not been loaded.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(
            f"{what} cannot be loaded: {type(error).__name__}: {one_line(error)}"
        ) from error
    return module
