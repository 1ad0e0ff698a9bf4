"""Where the samples of a question part: a tree over what they have in common from the start.

Each branch says how many samples take it, how probable its first token was, and how many of the
samples below it are right. Samples are compared by token ids; where there are none, by words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

MAX_BRANCHES = 120  # of one tree; the others are counted
MAX_SHOWN_CHARACTERS = 160  # of a piece of text


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """One sample, cut into the parts that are compared."""

    parts: Sequence[Hashable]  # [T] token ids, or words
    logprobs: Sequence[float] | None = None  # [T] nats
    is_right: bool | None = None  # None: nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A piece that some samples share, and how they go on."""

    text: str
    start: int  # the place of its first token
    length: int  # tokens
    samples: tuple[int, ...]  # that take it, by place
    ended: tuple[int, ...]  # of these, those that end with it
    right: int | None  # of the samples; None where nobody knows of any
    p: float  # of its first token, before temperature; nan of the root, and where it is not kept
    branches: tuple[Branch, ...] = ()  # the most frequent first
    left_out: int = 0  # samples on branches that are not shown

    @property
    def rest(self) -> float:
        """The probability of all tokens that no sample took here; nan where it is not known."""
        known = [branch.p for branch in self.branches]
        is_known = bool(known) and not any(map(math.isnan, known)) and not self.left_out
        return max(0.0, 1.0 - sum(known)) if is_known else math.nan


def prefix_tree(
    strands: Sequence[Strand],
    text_of: Callable[[Sequence[Hashable]], str],
    most: int = MAX_BRANCHES,
) -> Branch:
    """The tree of all samples; branches of most samples are shown first, up to `most` of them."""
    root = _branch(tuple(range(len(strands))), 0, strands, text_of, [most])
    return replace(root, p=math.nan)


def _branch(
    members: tuple[int, ...],
    start: int,
    strands: Sequence[Strand],
    text_of: Callable[[Sequence[Hashable]], str],
    budget: list[int],
) -> Branch:
    end = start + _shared(members, start, strands)
    groups: dict[Hashable, list[int]] = {}
    ended = []
    for place in members:
        parts = strands[place].parts
        if len(parts) == end:
            ended.append(place)
        else:
            groups.setdefault(parts[end], []).append(place)
    ordered = sorted(groups.values(), key=lambda group: (-len(group), group))
    shown = ordered[: max(0, budget[0])]
    budget[0] -= len(shown)
    branches = tuple(_branch(tuple(group), end, strands, text_of, budget) for group in shown)
    first = strands[members[0]] if members else None
    verdicts = [strands[place].is_right for place in members]
    known = [verdict for verdict in verdicts if verdict is not None]
    return Branch(
        text=text_of(first.parts[start:end]) if first else "",
        start=start,
        length=end - start,
        samples=members,
        ended=tuple(ended),
        right=sum(known) if known else None,
        p=_first_p(members, start, strands),
        branches=branches,
        left_out=sum(map(len, ordered[len(shown) :])),
    )


def _shared(members: tuple[int, ...], start: int, strands: Sequence[Strand]) -> int:
    """How many parts all of them have in common from there on."""
    if not members:
        return 0
    first = strands[members[0]].parts
    length = min(len(strands[place].parts) for place in members) - start
    for offset in range(length):
        part = first[start + offset]
        if any(strands[place].parts[start + offset] != part for place in members):
            return offset
    return length


def _first_p(members: tuple[int, ...], start: int, strands: Sequence[Strand]) -> float:
    """The mean probability of the first token; nan where it is not kept.

    It is one number where an engine computes alike each time; a mean evens out the rest.
    """
    logprobs = [strands[place].logprobs for place in members]
    known = [math.exp(row[start]) for row in logprobs if row is not None and start < len(row)]
    return sum(known) / len(known) if known else math.nan
