r"""What can be said of a mathematical answer from its text alone: its looks, name, unit and words.

A parser that drops what it cannot use would call "1 1/2" and "1" the same, and 11_2 and 11_3. So
what it is known to misread is recognised here, and stays a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from nbest.scorers.equivalence.plain import exact_number

MAX_CHARACTERS = 400  # a longer answer means nothing but itself
MAX_DEPTH = 40  # of brackets
MAX_ANSWER = 4 * MAX_CHARACTERS  # of which the looks, a name and a unit may be a part

_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z*]+\}")
_LAYOUT = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])(?![A-Za-z])|\$|\\[()\[\]]|~|\\?%")
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,\\!)(?=[0-9]{3}(?![0-9]))")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(pi|sqrt|sin|cos|tan|log|ln)(?![A-Za-z])")
_ROOT = re.compile(r"(?<![A-Za-z])\\?sqrt ?\(([^()]*)\)")
_LOGARITHM = re.compile(r"\\log ?_([0-9])")
_POWER = re.compile(r"\^(-[0-9]+|[0-9]{2,})")
_WORD = re.compile(r"[^\W\d_]{3,}")
_LETTERS = re.compile(r"[A-Za-z][A-Za-z ]*[A-Za-z]")
_MIXED = re.compile(
    r"(?P<sign>-?)(?P<whole>[0-9]+)(?: (?P<top>[0-9]+)/(?P<bottom>[0-9]+)"
    r"| ?\\frac\{(?P<over>[0-9]+)\}\{(?P<under>[0-9]+)\})"
)
_ASSIGNED = re.compile(r"(?P<name>[A-Za-z]|\\[a-z]+) ?= ?(?P<core>[^=<>,;]+)")
_UNIT = re.compile(
    r"(?P<core>[^ ].*?) ?(?:\\(?:text|mathrm|mbox) ?\{(?P<unit>[A-Za-z ./]+)\}"
    r"(?P<power> ?\^ ?\{?[0-9]\}?)?|(?P<degree>\^ ?\{? ?\\circ ?\}?|\u00b0))"
)
_COUNTED = re.compile(
    r"(?P<core>[-+]?[0-9][0-9.,/]*) "
    r"(?P<unit>(?:[A-Za-z]{3,}|[cmk]m|[mk]g|ml|ft|lb|hr)(?:[ /][A-Za-z]+)*)"
)
_UNCLEAR = re.compile(
    r"\.\.|\\[lcv]?dots|[0-9] +[0-9]|[0-9]_|!!|'|[0-9] ?: ?[0-9]|[0-9] ?/ ?[0-9]+ ?/|"
    r"[0-9]\.[0-9]+\.|\\p?mod|\\circ|\u00b0|\\angle|\\triangle|\\parallel"
    r"|[0-9)}] ?\\(?:text|mathrm|mbox) ?\{(?! ?(?:or|and) ?\})"
)


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """The parts of an answer such as `x = 5 cm`: its core, with the name and the unit around it."""

    core: str
    variable: str = ""
    unit: str = ""

    def names(self) -> tuple[tuple[str, str], ...]:
        return ("variable", self.variable), ("unit", self.unit)


def parts_of(answer: str) -> AnswerParts:
    """The parts of an answer, in tidy LaTeX; one that is too long is a part whole."""
    if len(answer) > MAX_ANSWER:
        return AnswerParts(answer)
    core, variable, unit = tidied(answer), "", ""
    assigned = _ASSIGNED.fullmatch(core)
    if assigned and not re.search(rf"(?<![A-Za-z\\]){re.escape(assigned['name'])}", assigned[2]):
        variable, core = assigned["name"], assigned["core"]
    measured = _UNIT.fullmatch(core) or _COUNTED.fullmatch(core)
    if measured and not _TEXT.search(measured["core"]):
        parts = measured.groupdict()
        spelled = (parts["unit"] or "degree").casefold().replace(" ", "")
        unit = (spelled.rstrip("s") or spelled) + (parts.get("power") or "").strip(" ^{}")
        core = measured["core"]
    return AnswerParts(core.strip(), variable, unit)


def tidied(answer: str) -> str:
    """The answer without LaTeX for the looks alone, a full stop at the end, or a percent sign."""
    plain = _LAYOUT.sub(" ", _THOUSANDS.sub("", answer))
    plain = plain.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    plain = _LOGARITHM.sub(r"\\log_{\1}", _ROOT.sub(r"\\sqrt{\1}", plain))
    plain = plain.strip("* ").replace("**", "^").replace("\u03c0", r"\pi ")
    plain = _POWER.sub(r"^{\1}", _FUNCTION.sub(r"\\\1 ", plain))
    return " ".join(plain.split()).rstrip(".")


def number_of(core: str) -> Fraction | None:
    r"""The value of a core that is all one number, 1 1/2 and 1\frac{1}{2} included; else None."""
    mixed = _MIXED.fullmatch(core) if len(core) <= MAX_CHARACTERS else None
    if mixed is None:
        return exact_number(core)
    bottom = int(mixed["bottom"] or mixed["under"])
    if bottom == 0:
        return None
    value = int(mixed["whole"]) + Fraction(int(mixed["top"] or mixed["over"]), bottom)
    return -value if mixed["sign"] else value


def words_of(answer: str) -> str | None:
    """What the answer says in words, on one line; None where it has none, or is too long.

    A word has three letters, or is all that there is: "no" is not the product of n and o.
    """
    if len(answer) > MAX_ANSWER:
        return None
    plain = tidied(answer)
    outside = _TEXT.sub(" ", _ENVIRONMENT.sub("", plain))
    is_all_text = outside != plain and not outside.strip()
    is_word = _WORD.search(_COMMAND.sub(" ", outside)) or _LETTERS.fullmatch(plain)
    if is_all_text or is_word:
        words = " ".join(_TEXT.sub(r" \1 ", plain).split())
        return words if len(words) <= 2 and words.isupper() else words.casefold()  # AB is not ab
    return None


def unclear_text(core: str) -> str | None:
    """A key of the text itself where a parser is known to misread it; None where it is not."""
    return f"text:{core}" if len(core) <= MAX_CHARACTERS and _UNCLEAR.search(core) else None


def is_formula(core: str) -> bool:
    """Whether a core is worth parsing: neither too long nor too deeply nested."""
    if len(core) > MAX_CHARACTERS:
        return False
    depth = deepest = 0
    for character in core:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest <= MAX_DEPTH
