"""The JSON documents that commands print: one object each, with the version of its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping

VERSION = 1  # to be raised when a key goes or changes its meaning; new keys may come at any time


def print_document(fields: Mapping[str, object]) -> None:
    """Print a document on standard output; nan is an error, for JSON has none."""
    print(json.dumps({"version": VERSION, **fields}, indent=2, allow_nan=False))
