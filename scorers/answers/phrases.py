r"""Where free text says what its answer is: "The answer is 5", "**Answer**: Paris", a heading."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from nbest.scorers.answers.latex import unwrapped
from nbest.scorers.answers.number import canonical_number

_MARKUP = r"[ \t*_`\"']{0,9}"
_OF = r"(?:[ \t]+(?:to|of|for)\b[^.\n:=]{1,80}?)?"
_IS = (
    r"(?:[ \t]*(?:is|are|was|ist|lautet|es|est|should[ \t]+be|would[ \t]+be|will[ \t]+be"
    r"|must[ \t]+be|equals)\b"
    rf"(?:{_MARKUP}:)?|[:=])"
)
_PHRASE = re.compile(
    rf"\b(?:answer|antwort|respuesta|r\u00e9ponse)\b{_OF}{_MARKUP}{_IS}"
    rf"|^(?:\#{{1,6}}|[*_]{{2}})[ \t]*(?:the[ \t]+)?(?:final[ \t]+)?answer{_MARKUP}$",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED = re.compile(r"<(?P<tag>answer|final_answer)>(?P<said>.*?)</(?P=tag)>", re.S | re.I)
_DISPLAY = {r"\[": r"\]", "$$": "$$"}
_MOST_PHRASES = 20  # that are looked at, from the last
_MOST_READ = 2000  # characters of an answer; a longer one is a text

# A full stop ends no sentence after these, nor after an initial within a name.
_ABBREVIATION_LIST = """
st sgt mr mrs ms dr prof gen col lt mt ft no vs etc approx e.g i.e jr sr inc ltd co u.s u.k a.m p.m
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())
_STOP = re.compile(r"\.(?=\s|\Z)|\n")
_REASON = re.compile(
    r";\s.*|\*\*,\s.*|\s+\u2014.*"
    r"|[,;]?\s+(?:because|since|due to|as (?:can|we|it|the|this)|which means)\b.*",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(?:,\s+(?!(?:or|and)\b)|\s+\()[a-z]")
_NUMBER_WORD_LIST = """
yes no true false none zero one two three four five six seven eight nine ten eleven twelve thirteen
fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty
ninety hundred thousand million
"""
_NUMBER_WORDS = frozenset(_NUMBER_WORD_LIST.split())
_CONCRETE = re.compile(r"[0-9A-Z\\$]")
_ABOUT = re.compile(
    r"(?:not|never|in|divisible|unclear|unknown|helpful|clear|correct|wrong|right|below|above|as)"
    r"\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"(?:about|approximately|around|roughly|exactly|simply|just)\s+(?=[-+$\d])", re.I
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says that its answer is, and where the saying begins."""

    answer: str
    start: int


def tagged_answer(text: str) -> str | None:
    """What stands in the last `<answer>` that is not empty."""
    said = [match["said"].strip() for match in _TAGGED.finditer(text)]
    return next((answer for answer in reversed(said) if answer), None)


def said_answer(text: str) -> Said | None:
    """The last answer that is said to be one; such as "helpful" only where there is no other.

    A name, a number or a formula goes before plain words: "I hope this answer is helpful".
    """
    plain: Said | None = None
    about: Said | None = None  # says something about the answer: "is helpful", "is not 42"
    for phrase in reversed(deque(_PHRASE.finditer(text), maxlen=_MOST_PHRASES)):
        if answer := _content(text, phrase.end()):
            said = Said(answer, phrase.start())
            if _ABOUT.match(answer):
                about = about or said
            elif _is_concrete(answer):
                return said
            else:
                plain = plain or said
    return plain or about


def _is_concrete(answer: str) -> bool:
    return bool(_CONCRETE.search(answer)) or answer.casefold() in _NUMBER_WORDS


def _content(text: str, start: int) -> str:
    """The answer after a phrase: the rest of its sentence, or else what the next lines hold."""
    rest = text[start : start + _MOST_READ].lstrip(":*_`\"' \t")
    rest = rest.lstrip() if rest[:1] in ("\n", "\r") else rest
    for opening, closing in _DISPLAY.items():
        if rest.startswith(opening):
            return rest[len(opening) :].partition(closing)[0].strip()
    return tidy_answer(_sentence(rest))


def tidy_answer(text: str) -> str:
    """An answer without the reason after it, and without the markup around it."""
    closing = "}" if text.count("{") < text.count("}") else ""  # of a JSON object around it
    said = _REASON.sub("", text).strip().rstrip(f"*`\"'.!; \t\r{closing}")
    bare = _HEDGE.sub("", unwrapped(said.lstrip("*`\"' \t")))
    clause = _CLAUSE.search(bare)
    if clause and canonical_number(bare[: clause.start()]):
        return bare[: clause.start()]
    return bare


def _sentence(text: str) -> str:
    """The text up to the end of its first sentence, or line."""
    for stop in _STOP.finditer(text):
        before = text[: stop.start()]
        if stop[0] == "\n" or not _is_abbreviated(before, text[stop.end() :]):
            return before
    return text


def _is_abbreviated(before: str, after: str) -> bool:
    """Whether a full stop belongs to the word before it."""
    words = before.split()
    if not words:
        return False
    last = words[-1].lstrip("(*_\"'")
    if last.casefold() in _ABBREVIATIONS:
        return True
    # "George W. Bush" and "J. K. Rowling", but not "It is A. The others are wrong".
    is_initial = len(last) == 1 and last.isupper()
    following = after.split(maxsplit=1)[:1]
    is_followed_by_initial = bool(following) and re.fullmatch(r"[A-Z]\.", following[0]) is not None
    is_within_name = len(words) > 1 and words[-2][:1].isupper()
    return is_initial and (is_followed_by_initial or is_within_name)
