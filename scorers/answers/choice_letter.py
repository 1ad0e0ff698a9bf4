"""The letter that a multiple choice answer settles on.

"A" is also an article and "I" a pronoun: a letter counts only where it is said to be the answer, or
stands as an option does. One that is denied, asked about, or listed among others is no choice. In
doubt there is no answer; a guess here would be a vote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nbest.orchestrator.requirements import require
from nbest.scorers.answers.characters import plain_characters
from nbest.scorers.answers.extract import visible
from nbest.scorers.answers.latex import last_boxed
from nbest.scorers.answers.phrases import tagged_answer
from nbest.scorers.answers.regex import last_match

# Each UPPER, LOWER and ANY below becomes a class of the letters in use.
_LATEX = r"(?:\\[a-z]+\{)*+"
_IS = r"(?:is|are|ist|lautet|es|est|should\s+be|would\s+be|must\s+be|will\s+be)\b"
_NOUN = r"(?:answer|option|choice|antwort|respuesta|r\u00e9ponse)"
_SAID = (
    rf"(?i:(?<![^\W_]){_NOUN}[*_`\"']{{0,3}}(?:\s+{_IS}|\s*:))"
    r"[\s:*_$\"'`]*+(?:\\[(\[]\s*)?(?i:option\s|choice\s)?" + _LATEX
)
_BRACKETED = r"[(\[]\s?(?P<bracketed>ANY)\s?[)\]]"
# Not part of a word or of a formula; and a bare A or I must not be followed by a word.
_BARE = (
    r"(?P<bare>UPPER)(?![\w'+#]|-\w| ?=)"
    r"(?:(?<![AI])|(?![ \t]+(?!(?:because|since|as)\b)\w))"
)
_LINE_END = r"[ \t\r*_\"'`$.)\]}]*+(?=\n|\Z)"
_CORRECT = (
    r"(?:(?i:\b(?:option|choice|answer)\s+[(\[*]{0,3}(?P<named>ANY))|(?<![\w(])[(\[*]{0,3}(?P<it>UPPER))"
    r"[)\]*.]{0,3}\s+(?i:is|seems|looks)\s+"
    r"(?i:(?:the\s+)?(?:correct|right|best)\b|the\s+(?:final\s+)?answer\b(?!\s+to\b))"
)
_STATED = rf"{_SAID}(?:{_BRACKETED}|{_BARE}|(?P<small>LOWER){_LINE_END})|{_CORRECT}"
_BOXED = rf"\A{_LATEX}[\s(\[]*+(?P<letter>ANY)\s*(?:[:.)\]}}]|\Z)"
_ALONE = rf"(?m:^)[ \t*_\"'`$(\[]*+(?P<letter>ANY){_LINE_END}"
# The text opens with "C)" or "C.", and does not go on to list the other options.
_OPENING = r"\A[\s*\"']*+(?P<letter>UPPER)[.)\]](?=[\s*])(?!(?s:.*)\n[ \t(]*+UPPER[.)])"
_ASIDE = r"(?<!\w)[(\[](?P<letter>UPPER)[)\]]"

_DENIED = re.compile(
    r"\b(?:not|never|cannot|neither|nor|wrong|incorrect|false|eliminated?|exclude[ds]?|doubt|unlikely"
    r"|except|rather than|instead of|ruled? out|fails?|trap|contradict\w*|assum\w*|suppose"
    r"|equations?|figure|section|see)\b|n't\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"[,;:!?\n]|\.(?=\s|\Z)|\b(?:so|but|therefore|hence|thus)\b", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?:[^.!?\n]|\.(?!\s))+[.!?\n]?")
_MOST_READ = 300  # characters on either side that may deny a letter
# What makes the letter before it one of several, or a part of something else.
_GOES_ON = (
    r"[)\]*_`}$]{0,4}\s*(?:,|,?\s*(?:and|or|&))\s*[(\[*_]{0,3}ANY(?![\w'])"
    r"|\s*[+*^]\s*\w|[(\[]|\. [a-z]"
)
_SUPPOSED = re.compile(
    r"\b(?:if|suppose|assume|assuming|were|least likely|worst|first thought|not sure)\b", re.I
)
_QUESTION = re.compile(r"[)\]*\"'`\s]{0,5}\?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceLetter:
    r"""The final choice letter, spelled as in `letters`.

    The first that exists of: the last "answer is (C)", "Answer: C" or "C is correct"; a letter in
    the last `\boxed{...}` or `<answer>`; the last line that is a letter alone; "C)" or "C." at the
    very start; the only letter in brackets that its sentence does not deny. "A train travels",
    "(A) is wrong" and "the options are (A), (B) and (C)" hold no choice.
    """

    letters: str = "ABCDE"
    reads_reasoning: bool = False

    def __post_init__(self) -> None:
        is_distinct = len(set(self.letters.upper())) == len(self.letters)
        is_valid = self.letters.isascii() and self.letters.isalpha() and is_distinct
        require(is_valid, "letters", "be distinct ASCII letters", self.letters)

    def __call__(self, text: str) -> str | None:
        said = plain_characters(visible(text, self.reads_reasoning))
        letter = self._stated(said) or self._framed(said) or self._bracketed(said)
        return letter and self.letters[self.letters.upper().index(letter.upper())]

    def _stated(self, text: str) -> str | None:
        """The last letter that is said to be the answer, neither denied nor asked about."""
        letter = None
        goes_on = re.compile(self._regex(_GOES_ON))
        for match in re.finditer(self._regex(_STATED), text):
            before = _clause_before(text, match.start())
            if _DENIED.search(before) or _SUPPOSED.search(before):
                continue
            if _QUESTION.match(text, match.end()):
                continue
            # One of several is no choice, and takes back what was stated before.
            letter = None if goes_on.match(text, match.end()) else match[match.lastgroup or 0]
        return letter

    def _framed(self, text: str) -> str | None:
        """A letter in a box or a tag, alone on its line, or at the very start."""
        framed = last_boxed(text) or tagged_answer(text) or ""
        match = last_match(self._regex(_BOXED), framed)
        if match:
            several = re.compile(self._regex(_GOES_ON)).match(framed, match.end("letter"))
            return None if several else str(match["letter"])
        alone = [match["letter"] for match in re.finditer(self._regex(_ALONE), text)]
        if len(set(alone)) > 2:  # a list of the options
            return None
        if alone:
            return str(alone[-1])
        match = last_match(self._regex(_OPENING), text)
        is_denied = match is not None and _is_denied_around(text, match.end(), match.end() + 1)
        return str(match["letter"]) if match and not is_denied else None

    def _bracketed(self, text: str) -> str | None:
        """The letter in brackets of the last sentence that holds some it does not deny."""
        pattern = re.compile(self._regex(_ASIDE))
        for sentence in reversed(list(_sentences(text))):
            letters = {
                match["letter"]
                for match in pattern.finditer(sentence)
                if not _is_denied_around(sentence, match.start(), match.end())
            }
            if letters:
                return letters.pop() if len(letters) == 1 else None
        return None

    def _regex(self, pattern: str) -> str:
        upper, lower = self.letters.upper(), self.letters.lower()
        classes = {"UPPER": f"[{upper}]", "LOWER": f"[{lower}]", "ANY": f"[{upper}{lower}]"}
        return re.sub("UPPER|LOWER|ANY", lambda name: classes[name[0]], pattern)


def _sentences(text: str) -> Iterator[str]:
    """The sentences that hold a bracket, and are no questions."""
    for match in _SENTENCE.finditer(text):
        if ("(" in match[0] or "[" in match[0]) and not match[0].endswith("?"):
            yield match[0]


def _clause_before(text: str, place: int) -> str:
    """The part of a clause that stands before a place."""
    return _CLAUSE_END.split(text[max(0, place - _MOST_READ) : place])[-1]


def _is_denied_around(text: str, start: int, end: int) -> bool:
    """Whether the clause around a letter, on either side, denies it."""
    behind = _CLAUSE_END.split(text[end : end + _MOST_READ], maxsplit=1)[0]
    return _DENIED.search(f"{_clause_before(text, start)} {behind}") is not None
