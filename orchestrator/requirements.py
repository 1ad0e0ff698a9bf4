"""Checks of values: each says in one line which key breaks which rule."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from nbest.orchestrator.errors import InputError


def require(holds: bool, key: str, rule: str, value: object) -> None:
    """Raise the one-line InputError `KEY must RULE, got VALUE` unless `holds`."""
    if not holds:
        raise InputError(f"{key} must {rule}, got {value!r}")


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_share(key: str, value: float) -> None:
    """Raise InputError unless the value lies in [0, 1]."""
    require(0.0 <= value <= 1.0, key, "lie in [0, 1]", value)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of a message about a wrong name: the nearest that there is; empty if none is near.

    >>> did_you_mean("votes", ["vote", "first"])
    "; did you mean 'vote'?"
    """
    near = get_close_matches(name.lower(), sorted(choices), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
