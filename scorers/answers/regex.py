"""Regular expressions: compiled with an error of one line, and searched for the last match."""

from __future__ import annotations

import re

from nbest.orchestrator.errors import InputError


def compiled_regex(key: str, pattern: str) -> re.Pattern[str]:
    """The compiled pattern; InputError, under the name `key`, where it is no regex."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"{key} must be a regex ({error}), got {pattern!r}") from error


def last_match(pattern: str | re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last of the matches that do not overlap, from left to right."""
    # `re.finditer` would look a compiled pattern up once more.
    regex = re.compile(pattern) if isinstance(pattern, str) else pattern
    last = None
    for last in regex.finditer(text):  # noqa: B007 -- to keep the last is what it is for
        pass
    return last
