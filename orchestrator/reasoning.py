"""What a reasoning model thinks before it answers, in its text: never read, for it holds drafts.

Engines that know the model take the thought out of the text themselves. Where they do not, it
stands between tags, and its drafts look like answers: a vote among them is a vote of second best.
"""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|reasoning|reflection|seed:think|analysis|scratchpad|cot"
_TAG = re.compile(
    rf"<(?P<close>/)?(?:{_NAMES})>|\[(?P<shut>/)?THINK\]|\u25c1(?P<ended>/)?think\u25b7"
    r"|<\|(?:begin|(?P<finished>end))_of_thought\|>"
    r"|<\|(?:START|(?P<stopped>END))_THINKING\|>",
    re.IGNORECASE,
)
_FINAL = re.compile(r"<\|channel\|>final[^<]*<\|message\|>")  # OpenAI's harmony format
_CHANNEL = "<|channel|>"
_OPENINGS = ("<", "[", "\u25c1")  # every tag begins with one of these


def without_reasoning(text: str) -> str:
    r"""The text without what a model thought: between tags, or before a tag that closes a thought.

    A thought that was begun and never ended leaves nothing: the answer was never given.

    >>> [without_reasoning(t) for t in ("<think>6?</think>7", "6?</think>7", "7<think>6?")]
    ['7', '7', '7']
    """
    if not any(sign in text for sign in _OPENINGS):  # most texts
        return text
    if _CHANNEL in text:
        parts = _FINAL.split(text)
        return parts[-1].partition("<|")[0] if len(parts) > 1 else ""
    kept: list[str] = []
    start: int | None = 0  # of what is said; None in a thought
    for tag in _TAG.finditer(text):
        is_end = any(tag.groupdict().values())
        if is_end and start is not None:  # it was opened in the prompt
            kept.clear()
        elif not is_end and start is not None:
            kept.append(text[start : tag.start()])
        start = tag.end() if is_end else None
    return "".join(kept) + ("" if start is None else text[start:])
