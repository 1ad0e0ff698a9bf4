"""Whether a value that stands in a text is all that is meant, or a part of something larger.

`name: "Ann", address: {...}` says more than the address, and `[1]` may be a footnote. In doubt a
value is a part: nobody asked for half of a record.
"""

from __future__ import annotations

import re

LOOKED_AT = 2_000  # characters on either side

# Words that announce an answer, and name no part of a record.
_ANSWERS = (
    "answer|response|output|result|results|json|value|final|record|object|data|list|array|code|reply"
    "|action|action_input|input|arguments|tool_call|function_call|solution|yaml|here|below|following"
)
_MARKS = r"[*_`\"'\u201c\u201d]*"
_NAME = rf"{_MARKS}(?P<name>[A-Za-z_][\w-]*){_MARKS}"
# `key:` or `key =` right before the value, at the start of its line or after another sign.
_OWN_KEY = re.compile(rf"(?:^|[\s,;({{>]){_NAME}\s*(?P<sign>:=|[:=])\s*{_MARKS}\s*\Z")
# A line of its own that says a key and its value: `- **Name**: Ann`.
_KEY_LINE = re.compile(rf"^\s*(?:[-*\u2022+]\s+|\d+[.)]\s+)?{_NAME}\s*:{_MARKS}\s+\S", re.M)
_ASSIGNED = re.compile(rf"(?:^|[\s,;(]){_NAME}\s*=\s*[^\s=]", re.M)
# In the line of the value: another key with its value, and a comma or a semicolon.
_KEY_IN_LINE = re.compile(rf"(?:^|[\s,;(]){_NAME}\s*[:=]\s*[^,;\n]+[,;]\s*\S*\s*[:=]\s*\Z")
_QUOTED_KEY = re.compile(r"[\"'\u201d]\s*[:=]\s*(?:$|[^\s/])")
_SCALAR = r"(?:-?\d[\d.]*(?:[eE][+-]?\d+)?|true|false|null|True|False|None|[\"'\u201d}])"
_ITEM_BEFORE = re.compile(rf"(?:^|[\s(\[,:=]){_SCALAR}\s*,\s*\Z|[\"'\u201d}}],\s*\Z")
_ELEMENT = re.compile(r"</\s*([A-Za-z_][\w-]*)\s*>")
_OPEN_TAG = re.compile(r"<\s*([A-Za-z_][\w-]*)[^<>]*>\s*\Z")
_IS_ANSWER = re.compile(rf"(?:{_ANSWERS})s?\Z", re.I)
_CALL = re.compile(r"[A-Za-z_]\w*\(\s*[^()\n]*,\s*\Z")

# Before a list that is meant, in its line; else it may be a footnote.
_VERBS = "is|are|be|returns?"
_ANNOUNCED = re.compile(rf"(?:^|\n|[:=>]|\b(?:{_VERBS}|{_ANSWERS}))\s*{_MARKS}\s*\Z", re.I)
_LINE_ENDS = re.compile(rf"\s*{_MARKS}[\s.!;)]*(?:\n|\Z|<)")


def is_fragment(before: str, after: str) -> bool:
    """Whether a value is part of a larger one that lacks its brackets, by what stands around it."""
    head, tail = before[-LOOKED_AT:].rstrip(), after[:LOOKED_AT].lstrip()
    if _ITEM_BEFORE.search(head) or _CALL.search(head) or tail.startswith(","):
        return True
    if _QUOTED_KEY.search(head) or _QUOTED_KEY.search(tail):
        return True
    return _is_one_of_keys(head, tail) or _is_one_of_elements(head, tail)


def _is_one_of_keys(head: str, tail: str) -> bool:
    """Whether it has a key of its own beside other keys with their values: a record of lines."""
    own = _OWN_KEY.search(head)
    if own is None or _IS_ANSWER.match(own["name"]):
        return False
    if own["sign"] == "=":
        return bool(_ASSIGNED.search(head) or _ASSIGNED.search(tail))
    *_, line = head.split("\n")
    others = head[: len(head) - len(line)]
    in_line = _KEY_IN_LINE.search(line)
    return bool(in_line or _KEY_LINE.search(others) or _KEY_LINE.search(tail))


def _is_one_of_elements(head: str, tail: str) -> bool:
    """Whether it stands in an element beside others: `<name>Ann</name><address>{...}`."""
    own = _OPEN_TAG.search(head)
    if own is None or _IS_ANSWER.match(own[1]):
        return False
    others = _ELEMENT.findall(head) + _ELEMENT.findall(tail)[1:]
    return bool(others)


def is_meant(before: str, after: str) -> bool:
    """Whether a plain list of numbers and words is an answer, and no footnote of a sentence.

    It stands on a line of its own, or is announced there, and ends its line.
    """
    head, tail = before[-LOOKED_AT:], after[:LOOKED_AT]
    return bool(_ANNOUNCED.search(head)) and bool(_LINE_ENDS.match(tail))
