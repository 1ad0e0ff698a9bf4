r"""What can be said of a mathematical answer from its text alone: its looks, name, unit and words.

A parser that drops what it cannot use would call "1 1/2" and "1" the same, and 11_2 and 11_3. So
what it is known to misread is recognised here, and stays a text.
"""

from __future__ import annotations

import re
from fractions import Fraction

from nbest.scorers.answers.characters import plain_characters
from nbest.scorers.answers.latex import unwrapped
from nbest.scorers.answers.units import unit_of
from nbest.scorers.equivalence.plain import exact_number

MAX_CHARACTERS = 400  # a longer answer means nothing but itself
MAX_DEPTH = 40  # of brackets
MAX_ANSWER = 4 * MAX_CHARACTERS  # of which the looks, a name and a unit may be a part

_SIGNS = {
    "\u03c0": r"\pi ",
    "\u221e": r"\infty ",
    "\u00d7": r"\times ",
    "\u22c5": r"\cdot ",
    "\u00b7": r"\cdot ",
    "\u00f7": r"\div ",
    "\u00b1": r"\pm ",
    "\u2264": r"\le ",
    "\u2265": r"\ge ",
    "\u2260": r"\ne ",
    "\u222a": r"\cup ",
    "\u2229": r"\cap ",
    "\u2208": r"\in ",
    "\u2205": r"\emptyset ",
    "\u211d": r"\mathbb{R} ",
}
_SIGN = re.compile("|".join(_SIGNS))
_RADICAL = re.compile(r"\u221a ?(?:\(([^()]*)\)|\{([^{}]*)\}|([0-9.]+|[A-Za-z]))")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z*]+\}")
# A row break comes first: the space after it would be taken for LaTeX's space.
_LAYOUT = re.compile(
    r"(?P<row>\\\\)|\\(?:left|right|displaystyle|q?quad)(?![A-Za-z])|\\[,;:! ]|\$|\\[()\[\]]|~"
)
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,\\! ?|\\text\{,\})(?=[0-9]{3}(?![0-9]))")
FONT = r"\\(?:text|mathrm|textbf|textrm|textnormal|mathbf|mbox)"  # around words and units
TEXT = re.compile(rf"{FONT}\s*\{{([^{{}}]*)\}}")
_UPRIGHT = re.compile(
    r"\\(?:text|mathrm|mathit|mathbf|operatorname) ?\{ ?(?:(?P<letter>[A-Za-z])"
    r"|(?P<function>sin|cos|tan|ln|log|exp|arcsin|arccos|arctan)) ?\}"
)
COMMAND = re.compile(r"\\[A-Za-z]+")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(pi|sqrt|sin|cos|tan|log|ln)(?![A-Za-z])")
_ROOT = re.compile(r"(?<![A-Za-z])\\?sqrt ?\(([^()]*)\)")
_LOGARITHM = re.compile(r"\\log ?_([0-9])")
_POWER = re.compile(r"\^(-[0-9]+|[0-9]{2,}|-[A-Za-z](?![A-Za-z0-9(^]))")
_WORD = re.compile(r"[^\W\d_]{2,}")
_VOWEL = re.compile(r"[aeiou]", re.IGNORECASE)
_SHORTEST_WORD = 5  # letters; a shorter run has a vowel, or is a product of letters
_LETTERS = re.compile(r"[A-Za-z][A-Za-z ]*[A-Za-z]")
_LISTED = re.compile(r"\s*,?\s*(?:\\(?:text|mathrm|mbox) ?\{ ?(?:and|or) ?\}|\b(?:and|or)\b)\s*")
_OPTION = re.compile(r"\(([A-Z])\)")
_REPEATING = re.compile(
    r"(?P<sign>-?)(?P<whole>[0-9]*)\."
    r"(?:(?P<fixed>[0-9]*)\\(?:overline|bar|dot) ?\{?(?P<again>[0-9]+)\}?"
    # 0.(3); in 0.5(3) the brackets may be those of a product.
    r"|(?<=[0-9]\.)\((?P<period>[0-9]+)\))"
)
_WORDED_PERCENT = re.compile(r"(?<=[0-9]) ?(?:percent|per cent|pct)\b")
PRICE = re.compile(r"(?P<sign>\\?\$|[\u20ac\u00a3\u00a5]) ?(?P<core>[0-9](?:[0-9.,]*[0-9])?)")
_PERCENTAGE = re.compile(r"[-+]?[0-9][0-9.,]* ?%\.?")
_FACTOR = re.compile(r" ?%")
_DECIMAL_COMMA = re.compile(r"(-?[0-9]{4,}),([0-9]{1,2})")  # too many digits for thousands
_UNCLEAR = re.compile(
    r"[^\x00-\x7f]|(?<![A-Za-z\\])[fgh] ?\(|\.\.|\\[lcv]?dots|[0-9] +[0-9]|[0-9]_|!!|'"
    r"|[0-9] ?: ?[0-9]|[0-9] ?/ ?[0-9]+ ?/|"
    r"[0-9]\.[0-9]+\.|\\p?mod|\\circ|\u00b0|\\angle|\\triangle|\\parallel"
    r"|[0-9)}] ?\\(?:text|mathrm|mbox) ?\{(?! ?(?:or|and) ?\})"
)
BRACED_TOKEN = re.compile(r"([_^])\{ ?(\w) ?\}")


def tidied(answer: str) -> str:
    """The answer without LaTeX for the looks alone, a full stop at the end, or a percent sign."""
    plain = unwrapped(plain_characters(answer)).rstrip(".")
    if priced := PRICE.fullmatch(plain):
        return f"{priced['sign'][-1]}{priced['core']}"
    plain = _SIGN.sub(lambda sign: _SIGNS[sign[0]], _RADICAL.sub(_radical, plain))
    plain = _LAYOUT.sub(lambda m: m["row"] or " ", _THOUSANDS.sub("", plain))
    plain = _percent(_WORDED_PERCENT.sub("%", unwrapped(plain)))
    plain = plain.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    plain = plain.replace(r"\varnothing", r"\emptyset")
    plain = _LOGARITHM.sub(r"\\log_{\1}", _ROOT.sub(r"\\sqrt{\1}", plain))
    plain = plain.strip("* ").replace("**", "^")
    plain = _POWER.sub(r"^{\1}", _FUNCTION.sub(r"\\\1 ", _UPRIGHT.sub(_upright, plain)))
    listed = _LISTED.sub(", ", plain).strip(", ")
    is_list = not re.search(r"[<>]|\\[lg]e(?:q|qslant)?(?![a-z])", plain)  # x<1 or x>3 is one set
    if listed != plain and is_list and not has_words(listed):  # "1 and 2" is "1, 2"
        plain = listed
    return " ".join(plain.split()).rstrip(".")


def _percent(text: str) -> str:
    """Hundredths within a formula; behind a number that stands alone the sign stays."""
    plain = text.replace(r"\%", "%")
    parts = re.split(r"(,(?![0-9]{3}(?![0-9])))", plain)
    if all(_PERCENTAGE.fullmatch(part.strip()) for part in parts[::2]):
        return plain
    return _FACTOR.sub(r" \\cdot \\frac{1}{100} ", plain)


def _radical(match: re.Match[str]) -> str:
    return rf"\sqrt{{{match[1] or match[2] or match[3]}}}"


LETTERS = ("t", "h", "l")  # units that are as often variables


def _upright(match: re.Match[str]) -> str:
    """An upright letter is itself, as in 2\\mathrm{e}, unless it is a unit; a function is one."""
    if match["function"]:
        return rf"\{match['function']} "
    is_after_number = match.start() > 0 and match.string[match.start() - 1] in "0123456789 "
    is_letter = match["letter"] in LETTERS and "{ " not in match[0]  # 2\\text{t} is 2t
    if is_after_number and not is_letter and unit_of(match["letter"]) is not None:
        return match[0]
    return f"{match['letter']} "


def number_of(core: str) -> Fraction | None:
    r"""The value of a core that is all one number, 1 1/2 and 0.\overline{3} included; else None."""
    if len(core) > MAX_CHARACTERS:
        return None
    repeating = _REPEATING.fullmatch(core)
    if repeating is None:
        return exact_number(_DECIMAL_COMMA.sub(r"\1.\2", core) if "," in core else core)
    fixed, again = repeating["fixed"] or "", repeating["again"] or repeating["period"]
    scale = 10 ** len(fixed)
    value = int(repeating["whole"] or 0) + Fraction(int(fixed or 0), scale)
    value += Fraction(int(again), scale * (10 ** len(again) - 1))
    return -value if repeating["sign"] else value


def words_of(answer: str) -> str | None:
    """What the answer says in words, on one line; None where it has none, or is too long.

    A run of letters is a word where it is long or has a vowel; "xyz" is a product.
    """
    if len(answer) > MAX_ANSWER:
        return None
    plain = tidied(answer)
    option = _OPTION.fullmatch(plain)
    if option:
        return option[1]
    outside = TEXT.sub(" ", _ENVIRONMENT.sub("", plain))
    is_all_text = outside != plain and not outside.strip()
    is_word = has_words(outside) or (_LETTERS.fullmatch(plain) and _VOWEL.search(plain))
    if is_all_text or is_word or re.fullmatch("[A-Z]", plain):
        words = " ".join(TEXT.sub(r" \1 ", plain).split())
        return words if len(words) <= 2 and words.isupper() else words.casefold()  # AB is not ab
    return None


def has_words(text: str) -> bool:
    """Whether there is a word outside of commands: "the", and not the product xyz."""
    runs = _WORD.findall(COMMAND.sub(" ", text))
    return any(
        len(run) >= _SHORTEST_WORD
        or run.isupper()  # HHT is no product: neither an outcome nor a segment commutes
        or (len(run) > 2 and _VOWEL.search(run) is not None)
        for run in runs
    )


def unclear_text(core: str) -> str | None:
    """A key of the text itself where a parser is known to misread it; None where it is not."""
    if len(core) > MAX_CHARACTERS or not _UNCLEAR.search(core):
        return None
    bare = BRACED_TOKEN.sub(r"\1\2", core)
    return f"text:{bare.replace(' ', '')}"


def is_formula(core: str) -> bool:
    """Whether a core is worth parsing: neither too long nor too deeply nested."""
    if len(core) > MAX_CHARACTERS:
        return False
    depth = deepest = 0
    for character in core:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest <= MAX_DEPTH
