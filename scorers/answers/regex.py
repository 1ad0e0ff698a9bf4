"""Regular expressions: compiled with an error of one line, and searched for the last match.

Patterns of users go through the package `regex`, which reads them as `re` does, for it can stop: a
pattern that backtracks without end on what a model wrote has no match there.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import regex  # type: ignore[import-untyped]

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require

SEARCH_S = 1.0  # for one text
MAX_SIZE = 20_000  # `regex` takes a few hundred bytes for each part

_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<least>\d+)(?:,(?P<most>\d*))?\}|.", re.DOTALL
)

TimedPattern: TypeAlias = Any
"""A pattern of the package `regex`, which has no types: `re.Pattern` with timeouts."""


def compiled_regex(key: str, pattern: str) -> TimedPattern:
    """The compiled pattern; InputError, under the name `key`, where it is no regex."""
    rule = f"be a regex of at most {MAX_SIZE:,} parts when its repeats are written out"
    require(expanded_size(pattern) <= MAX_SIZE, key, rule, pattern)
    try:
        re.compile(pattern)  # its errors are better known, and it knows nothing that is not in both
        return regex.compile(pattern)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise InputError(f"{key} must be a regex ({error}), got {pattern!r}") from error


def expanded_size(pattern: str) -> int:
    """About how many parts a pattern has when its repeats are written out, as `regex` does.

    >>> expanded_size("a(bc){3}"), expanded_size("(a{1000}){1000}")
    (7, 1000000)
    """
    sizes, last = [0], 0  # of the groups that are open, and of the part that a repeat is of
    for token in _TOKEN.finditer(pattern):
        if token["most"] or token["least"]:
            times = int(token["most"] or token["least"]) or 1
            sizes[-1] += last * (times - 1)
            last *= times
        elif token[0] == "(":
            sizes.append(0)
        else:
            last = sizes.pop() if token[0] == ")" and len(sizes) > 1 else 1
            sizes[-1] += last
    return sum(sizes)


def last_match(pattern: str | re.Pattern[str], text: str) -> re.Match[str] | None:
    """The last of the matches that do not overlap, from left to right."""
    # `re.finditer` would look a compiled pattern up once more.
    compiled = re.compile(pattern) if isinstance(pattern, str) else pattern
    last = None
    for last in compiled.finditer(text):  # noqa: B007 -- to keep the last is what it is for
        pass
    return last


def last_match_in_time(pattern: TimedPattern, text: str) -> Any | None:
    """Do as `last_match` does, with a pattern of `compiled_regex`; None after `SEARCH_S`."""
    last = None
    try:
        for last in pattern.finditer(text, timeout=SEARCH_S):  # noqa: B007
            pass
    except TimeoutError:
        return None
    return last
