"""Text for people: the nearest name to one that is wrong, values and errors on one safe line.

It knows no config and no plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nbest.orchestrator.errors import first_line
from nbest.orchestrator.requirements import did_you_mean

SHOWN_CHARACTERS = 80


def suggestion(name: str, choices: Iterable[str]) -> str:
    """The end of a message `no such ...`: the nearest name, or all of them.

    >>> suggestion("votes", ["vote", "first"])
    "; did you mean 'vote'?"
    >>> suggestion("x", ["vote", "first"])
    '; it is one of: first, vote'
    """
    names = sorted(choices)
    if near := did_you_mean(name, names):
        return near
    return f"; it is one of: {', '.join(names)}" if names else "; there is none"


def first_sentence(doc: str) -> str:
    """The first sentence of a docstring, on one line.

    >>> first_sentence("Vote (Li et al. 2024,\\narXiv). It is fast.")
    'Vote (Li et al. 2024, arXiv).'
    """
    paragraph = " ".join(doc.split("\n\n")[0].split())
    end = re.search(r"\.(?= [A-Z`])", paragraph)
    return paragraph if end is None else paragraph[: end.end()]


def shown(value: object) -> str:
    """A value for an error message: on one line, without control characters, not too long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def one_line(error: BaseException) -> str:
    """The first line of the message of another library's exception, safe to print."""
    return printable(first_line(error))[:200]


def printable(text: str) -> str:
    """The text on one line, with `?` for every character that could act on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def safe_lines(text: str) -> str:
    """The lines of a text, each made `printable`."""
    return "\n".join(printable(line.expandtabs(4)) for line in text.splitlines())
