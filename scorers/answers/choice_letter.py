"""The letter that a multiple choice answer settles on.

"A" is also an article and "I" a pronoun: a letter counts only where it is said to be the answer, or
stands as an option does. In doubt there is no answer; a guess here would be a vote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbest.orchestrator.types import require
from nbest.scorers.answers.extract import last_boxed
from nbest.scorers.answers.regex import last_match

# Each UPPER, LOWER and ANY below becomes a class of the letters in use.
_LATEX = r"(?:\\[a-z]+\{)*+"
_SAID = (
    r"(?i:\b(?:answer|option|choice)(?:\s+is\b|\s*:))[\s:*$\"'`]*+(?i:option\s|choice\s)?" + _LATEX
)
_BRACKETED = r"[(\[]\s?(?P<bracketed>ANY)\s?[)\]]"
# Not part of a word or of a formula; and a bare A or I must not be followed by a word.
_BARE = (
    r"(?P<bare>UPPER)(?![\w'+#]|-\w| ?=)"
    r"(?:(?<![AI])|(?![ \t]+(?!(?:because|since|as)\b)\w))"
)
_LINE_END = r"[ \t\r*_\"'`$.)\]}]*+(?=\n|\Z)"
_PATTERNS = {
    "said": rf"{_SAID}(?:{_BRACKETED}|{_BARE}|(?P<small>LOWER){_LINE_END})",
    "boxed": rf"\A{_LATEX}[\s(\[]*+(?P<letter>ANY)\s*(?:[:.)\]}}]|\Z)",
    "alone": rf"(?m:^)[ \t*_\"'`$(\[]*+(?P<letter>ANY){_LINE_END}",
    # The text opens with "C)" or "C.", and does not go on to list the other options.
    "opening": r"\A[\s*\"']*+(?P<letter>UPPER)[.)\]](?=[\s*])(?!(?s:.*)\n[ \t(]*+UPPER[.)])",
    "aside": r"(?<!\w)[(\[](?P<letter>UPPER)[)\]]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceLetter:
    r"""The final choice letter, spelled as in `letters`.

    The first that exists of: the last "answer is (C)" or "Answer: C"; a letter in the last
    `\boxed{...}`; the last line that is a letter alone; "C)" or "C." at the very start; the last
    letter in brackets. "A train travels" holds no choice.
    """

    letters: str = "ABCDE"

    def __post_init__(self) -> None:
        is_distinct = len(set(self.letters.upper())) == len(self.letters)
        is_valid = self.letters.isascii() and self.letters.isalpha() and is_distinct
        require(is_valid, "letters", "be distinct ASCII letters", self.letters)

    def __call__(self, text: str) -> str | None:
        boxed = last_boxed(text) or ""
        for place, pattern in _PATTERNS.items():
            match = last_match(self._regex(pattern), boxed if place == "boxed" else text)
            if match:
                letter: str = match[match.lastgroup or 0]
                return self.letters[self.letters.upper().index(letter.upper())]
        return None

    def _regex(self, pattern: str) -> str:
        upper, lower = self.letters.upper(), self.letters.lower()
        classes = {"UPPER": f"[{upper}]", "LOWER": f"[{lower}]", "ANY": f"[{upper}{lower}]"}
        return re.sub("UPPER|LOWER|ANY", lambda name: classes[name[0]], pattern)
