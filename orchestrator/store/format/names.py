"""The names inside a run directory.

    run.json                     settings, fingerprint, versions
    run.lock                     held by the one process that drives the run
    queries/PART                 id, prompt, meta
    samples/PART                 one row a sample
    records/PART                 one row for each time that a strategy ended with a query
    scores/SLUG/PART             one row a score; each scorer has a folder

PART is `STAMP-WRITER.parquet`: nanoseconds since 1970 in 20 digits, and 8 hexadecimal digits that
are the writer's own, so sorting names gives the order of commits and no two writers meet.
Compaction adds a generation, `STAMP-WRITER-1.parquet`; "-" sorts before ".", so a merged file
stands where its first part stood. Every other name is ignored: `.NAME.tmp` is half-written, and
`PART.damaged` was set aside for a person to look at.

This module knows no file system.
"""

from __future__ import annotations

import hashlib
import re

MANIFEST = "run.json"
LOCK = "run.lock"
QUERIES = "queries"
SAMPLES = "samples"
RECORDS = "records"
SCORES = "scores"

KINDS = (QUERIES, SAMPLES, RECORDS, SCORES)

_PART = re.compile(r"\d{20}-[0-9a-f]{8}(-\d+)?\.parquet")
_SLUG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")


def is_part(name: str) -> bool:
    """Whether a name, without its folder, is that of a committed part."""
    return _PART.fullmatch(name) is not None


def is_temporary(name: str) -> bool:
    """Whether a name, without its folder, is that of a file that was never finished."""
    return name.startswith(".") and name.endswith(".tmp")


def temporary_name(name: str) -> str:
    """Return where to write a file before its rename: in the same folder, so that it is atomic."""
    folder, slash, own = name.rpartition("/")
    return f"{folder}{slash}.{own}.tmp"


def part_name(folder: str, stamp_ns: int, writer: str) -> str:
    """Return the name of a new part.

    >>> part_name("samples", 1700000000000000000, "00c0ffee")
    'samples/01700000000000000000-00c0ffee.parquet'
    """
    return f"{folder}/{stamp_ns:020d}-{writer}.parquet"


def part_stamp_ns(name: str) -> int:
    """Return when a part was committed, in nanoseconds by its writer's clock."""
    return int(name.rpartition("/")[2][:20])


def merged_name(first: str) -> str:
    """Return the name of the merged file that replaces `first` and parts that follow it.

    >>> merged_name("samples/01700000000000000000-00c0ffee.parquet")
    'samples/01700000000000000000-00c0ffee-1.parquet'
    """
    stem = first.removesuffix(".parquet")
    stamp, writer, *generation = stem.rsplit("/", 1)[-1].split("-")
    folder = first.rpartition("/")[0]
    return f"{folder}/{stamp}-{writer}-{int(generation[0]) + 1 if generation else 1}.parquet"


def slug(name: str) -> str:
    """Return a folder name for any text: a safe text as it is, else its safe part and a hash."""
    if _SLUG.fullmatch(name):
        return name
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{safe}-{digest[:12]}"
