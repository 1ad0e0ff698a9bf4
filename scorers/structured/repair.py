r"""Repairs of JSON that lose nothing and guess nothing.

A repair inserts a delimiter that is owed, escapes a character, or deletes what carries no value:
comments, trailing commas. Numbers and strings stay what they are; whatever could be meant in two
ways is left alone. So `{"a": 1,, "b": 2}`, `{"x": 12 kg}`, `{"n": nul` and an unescaped quotation
mark stay broken.

The text is read once, from left to right, and rewritten as JSON.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

MAX_DEPTH = 200

_SPACE = re.compile(r"[ \t\n\r]+")
# What could be data is no comment: `// the user, "age": 34`.
_COMMENT = re.compile(r"(?://|#)[^\n,:\"'{}\[\]\u201c\u201d]*(?=\n)|/\*(?:[^*]|\*(?!/))*+\*/")
# A token ends where its value does: 12% and 0.0.1 are no numbers, and nul is no null.
_END = r"(?=[\s,:}\]]|\Z)"
_NUMBER = re.compile(rf"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?{_END}")
_LITERAL = re.compile(rf"(?:true|false|null|True|False|None){_END}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?=\s*:)")
_LITERALS = {"True": "true", "False": "false", "None": "null"}
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d"}
# Up to the next sign that is not simply taken over.
_RUN = {
    '"': re.compile(r"[^\"\\\x00-\x1f]+"),
    "'": re.compile(r"[^'\"\\\x00-\x1f]+"),
    "\u201d": re.compile(r"[^\u201c\u201d\"\\\x00-\x1f]+"),
}
_ESCAPE = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4})")
_CONTROL = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

Wanted = Literal["value", "first value", "key", "first key", "colon", "comma", "nothing"]
"""What may come next; the first one of a collection may be missing."""


class Unreadable(ValueError):
    """The text has no reading that is certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A text that has become JSON."""

    text: str
    end: int  # where the value ended in the original text
    changes: Counter[str]  # how often each thing was done


def repaired(text: str, start: int, end: int) -> Repaired:
    """Rewrite the object or array that begins at `start` and ends before `end` as JSON.

    Unreadable where there is none that is certain. The time is in proportion to the text.
    """
    return _Rewriter(text=text, at=start, limit=end).rewritten()


@dataclass(slots=True, kw_only=True)
class _Rewriter:
    text: str
    at: int
    limit: int
    pieces: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    open: list[str] = field(default_factory=list)  # the brackets that have to be closed
    # Of each of them, whether a bracket that is owed at the end could stand within it.
    is_loose: list[bool] = field(default_factory=list)
    wants: Wanted = "value"
    is_spaced: bool = False  # white space before this token
    is_broken_line: bool = False  # with a line break in it
    may_end: bool = False  # the last token was a whole string, a literal or a closing bracket
    escapes: Counter[str] = field(default_factory=Counter)  # of backslashes, in all texts
    last: str = ""  # what the last token was: "string", "number", "literal", "closing"

    def rewritten(self) -> Repaired:
        while self.wants != "nothing":
            self._skip()
            if self.at >= self.limit:
                self._close_all()
                break
            self._token(self.text[self.at])
        return Repaired(text="".join(self.pieces), end=self.at, changes=self.changes)

    def _skip(self) -> None:
        """Pass over white space and comments."""
        self.is_spaced = self.is_broken_line = False
        while self.at < self.limit:
            space = _SPACE.match(self.text, self.at, self.limit)
            comment = None if space else _COMMENT.match(self.text, self.at, self.limit)
            found = space or comment
            if found is None:
                return
            if comment and self.wants == "first value":  # `[#12` may be the value itself
                raise Unreadable("a comment where a value is due")
            self.is_spaced = True
            self.is_broken_line |= "\n" in found[0]
            self.changes["removed a comment"] += comment is not None
            self.at = found.end()

    def _token(self, sign: str) -> None:
        if sign in "{[":
            self._open(sign)
        elif sign in "}]":
            self._close(sign)
        elif sign == ",":
            self._comma()
        elif sign == ":":
            self._require("colon")
            self._put(":", "value", may_end=False)
            self.at += 1
        elif self._wants_key(sign):
            self._key(sign)
        else:
            self._value(sign)

    def _require(self, *wanted: Wanted) -> None:
        if self.wants not in wanted:
            raise Unreadable(f"a {self.wants} is due")

    def _put(self, piece: str, wants: Wanted, *, may_end: bool) -> None:
        self.pieces.append(piece)
        self.wants, self.may_end = wants, may_end

    def _open(self, sign: str) -> None:
        self._insert_comma(sign)
        self._require("value", "first value")
        if len(self.open) == MAX_DEPTH:
            raise Unreadable("it is nested too deeply")
        self.open.append(sign)
        self.is_loose.append(False)
        self._put(sign, "first key" if sign == "{" else "first value", may_end=False)
        self.last = ""
        self.at += 1

    def _close(self, sign: str) -> None:
        opened = "{" if sign == "}" else "["
        if not self.open or self.open[-1] != opened:
            raise Unreadable("a bracket closes what was not opened")
        if self.wants in ("key", "value") and self.pieces[-1] == ",":
            self.pieces.pop()
            self.changes["removed a trailing comma"] += 1
        else:
            self._require("comma", "first key", "first value")
        self.open.pop()
        was_loose = self.is_loose.pop()
        if self.open:
            self.is_loose[-1] |= was_loose
        self._put(sign, "comma" if self.open else "nothing", may_end=True)
        self.last = "closing"
        self.at += 1

    def _comma(self) -> None:
        self._require("comma")
        self._note_item()
        self._put(",", "key" if self.open[-1] == "{" else "value", may_end=False)
        self.at += 1

    def _wants_key(self, sign: str) -> bool:
        is_next = self.wants == "comma" and self.open[-1] == "{"
        return is_next or self.wants in ("key", "first key")

    def _key(self, sign: str) -> None:
        if self.wants == "comma":
            is_apart = self.is_spaced if sign in _QUOTES else self.is_broken_line
            if not is_apart and not (self.last == "closing" and sign in _QUOTES):
                raise Unreadable("a comma is due")
            self._add_comma("key")
        if sign in _QUOTES:
            self._put(self._string(), "colon", may_end=False)
            return
        name = _KEY.match(self.text, self.at, self.limit)
        if name is None:
            raise Unreadable("a key is due")
        self.changes["quoted a key"] += 1
        self._put(f'"{name[0]}"', "colon", may_end=False)
        self.at = name.end()

    def _value(self, sign: str) -> None:
        self._insert_comma(sign)
        self._require("value", "first value")
        if sign in _QUOTES:
            piece, self.last = self._string(), "string"
        elif found := _NUMBER.match(self.text, self.at, self.limit):
            piece, self.last = found[0], "number"
            self.at = found.end()
        elif found := _LITERAL.match(self.text, self.at, self.limit):
            piece, self.last = _LITERALS.get(found[0], found[0]), "literal"
            self.changes[f"wrote {found[0]} as {piece}"] += piece != found[0]
            self.at = found.end()
        else:
            raise Unreadable("a word without quotation marks")
        # A number at the end may have been longer.
        self._put(piece, "comma", may_end=self.last != "number")

    def _insert_comma(self, sign: str) -> None:
        """Insert the comma that an array owes; not between two strings or numbers of one line."""
        if self.wants != "comma" or self.open[-1] != "[":
            return
        is_sure = self.last == "closing" and sign in "{["
        if not (is_sure or (self.is_broken_line and self.last == "string" and sign == '"')):
            raise Unreadable("a comma is due")
        self._add_comma("value")

    def _add_comma(self, wants: Wanted) -> None:
        self.changes["added a comma"] += 1
        self._note_item()
        self._put(",", wants, may_end=False)

    def _note_item(self) -> None:
        """Note that another item follows in the innermost collection.

        Where the one around it is of the same kind, the item could stand there: the bracket that is
        owed would come before it. Where it is of the other kind, or there is none, it could not.
        """
        self.is_loose[-1] = len(self.open) > 1 and self.open[-2] == self.open[-1]

    def _close_all(self) -> None:
        """Add the closing brackets that are owed at the very end."""
        if not self.may_end or self.changes["removed a comment"]:
            raise Unreadable("it ends in the middle")
        if any(self.is_loose):
            raise Unreadable("a closing bracket that may be owed elsewhere")
        while self.open:
            self.pieces.append("}" if self.open.pop() == "{" else "]")
            self.changes["added a closing bracket"] += 1

    def _string(self) -> str:
        """The string that begins here, as JSON writes it."""
        opening = self.text[self.at]
        closing = _QUOTES[opening]
        self.at += 1
        if opening != '"':
            self.changes["replaced quotation marks"] += 1
        pieces, before = ['"'], Counter(self.escapes)
        while self.at < self.limit and self.text[self.at] != closing:
            run = _RUN[closing].match(self.text, self.at, self.limit)
            if run is None:
                pieces.append(self._special(closing))
            else:
                pieces.append(run[0])
                self.at = run.end()
        if self.at >= self.limit:
            raise Unreadable("a string that is not closed")
        here = self.escapes - before
        is_mixed = bool(here["lone"] and (here["letter"] or here["sign"]))
        if is_mixed or (self.escapes["lone"] and self.escapes["letter"]):
            raise Unreadable("a backslash that may mean two things")  # \alpha, \beta: what is \b?
        self.at += 1
        return "".join((*pieces, '"'))

    def _special(self, closing: str) -> str:
        """One sign of a string that JSON writes otherwise, or an escape."""
        sign = self.text[self.at]
        if sign == "\\":
            return self._backslash(closing)
        self.at += 1
        if sign == '"':
            self.changes["escaped a quotation mark"] += 1
            return '\\"'
        if sign in _CONTROL:
            self.changes["escaped a line break or a tab"] += 1
            return _CONTROL[sign]
        raise Unreadable("a sign that has no place in a string")

    def _backslash(self, closing: str) -> str:
        escape = _ESCAPE.match(self.text, self.at, self.limit)
        if escape is not None:
            if escape[0] != '\\"':
                self.escapes["letter" if escape[0][1] in "bfnrt" else "sign"] += 1
            self.at = escape.end()
            return escape[0]
        following = self.text[self.at + 1 : min(self.at + 2, self.limit)]
        if closing == "'" and following == "'":
            self.at += 2
            return "'"
        is_python = closing == "'"  # where \0 and \x41 are characters
        if is_python or following in ("", "'", "u", "\n", "\r", *_QUOTES.values()):
            raise Unreadable("a backslash that may mean two things")
        self.escapes["lone"] += 1
        self.changes["escaped a backslash"] += 1
        self.at += 1
        return "\\\\"
