r"""What LaTeX puts around an answer: boxes, fonts, math signs."""

from __future__ import annotations

import re

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
FONTS = (r"\text", r"\frac", r"\sqrt", r"\mathbf", r"\mathrm", r"\textbf", r"\left", r"\dfrac")
_FONT = re.compile(
    r"\\(?:text|textbf|textit|textrm|texttt|mathrm|mathbf|mathit|mathsf|mbox|boldsymbol|bm) ?\{"
)
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])(?:(?P<brace>\s*\{)|[ \t]*(?P<bare>\S[^\s$,;]*)?)")
_BARE = re.compile(r"-?[0-9]+(?:[.,][0-9]+)*|[A-Z]|\\[a-z]+")
_NO_CONTENT = ("~", "...", r"\ldots", r"\dots", "?", r"\cdot")


def closing_brace(text: str, start: int) -> int | None:
    """Where the brace closes that opens before `start`; an escaped one, as in `\\{`, is none."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.start()
    return None


def last_boxed(text: str) -> str | None:
    r"""What the last box holds that is not empty: `\boxed{...}`, `\fbox{...}`, `\boxed 5`.

    None where a later box is opened and never closed: the answer was cut off.
    """
    boxes = list(_BOX.finditer(text))
    for box in reversed(boxes):
        if box["brace"] is None:
            content = _bare(box["bare"])
        else:
            end = closing_brace(text, box.end("brace"))
            if end is None:
                return None
            content = text[box.end("brace") : end]
        if content and content.strip() and content.strip() not in _NO_CONTENT:
            return content.strip()
    return None


def _bare(text: str | None) -> str | None:
    r"""What a box without braces holds: a number, a capital or a command alone, as `\boxed 5`."""
    bare = (text or "").rstrip(".)]\\")
    return bare if _BARE.fullmatch(bare) and bare not in FONTS else None


def unwrapped(text: str) -> str:
    r"""The text without the font, the math signs and the stars that are around all of it.

    >>> [unwrapped(t) for t in (r"\mathbf{\text{13}}", "**13**", r"\( 13 \)", "$13$", "13")]
    ['13', '13', '13', '13', '13']
    """
    while (inner := _without_one(text)) != text:
        text = inner
    return text


def _without_one(text: str) -> str:
    text = text.strip()
    font = _FONT.match(text)
    if font and closing_brace(text, font.end()) == len(text) - 1:
        return text[font.end() : -1]
    for opening, closing in (("**", "**"), ("__", "__"), ("$$", "$$"), ("$", "$"), ("`", "`")):
        inner = text[len(opening) : -len(closing)]
        if text.startswith(opening) and text.endswith(closing) and inner and opening not in inner:
            return inner
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if text.startswith(opening) and text.find(closing) == len(text) - 2:
            return text[2:-2]
    return text
