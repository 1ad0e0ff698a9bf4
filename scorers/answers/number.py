"""Numbers as models write them, and one spelling for each value.

Equal values get equal strings, so that "1,000", "1000.0" and "1e3" are one answer in a vote. The
arithmetic is exact: no float is involved. Characters are read as `plain_characters` has them.

What is read:

    -5  +5  .5  007         a sign counts only where it cannot be a minus between two operands,
                            so that "10-3" ends in 3
    1,000  1{,}000  1\\,000  thousands separators: a comma, a point where there are two of them, an
    1 000  1'000  12,34,567 apostrophe, a space, LaTeX's spaces; thousands and lakhs
    1.234,50                a comma is a decimal point only where it cannot be anything else; "3,50"
                            may be one or two numbers, and is none
    1e3  1.5 x 10^3  10^3   powers with whole exponents of at most three digits
    1/2  \\frac{1}{2}  \\frac12   a fraction; it is spelled as a decimal where that is exact (0.5),
    2 1/2  2\\frac{1}{2}     otherwise in lowest terms (1/3); with a whole number before it a mixed
                            number, where it is below 1
    $5  50%  5 km           5, 50, 5: units are dropped, the percent sign among them; in "5 m^2" the
                            2 is part of the unit

An exponent or an index is no number: where one comes last, as in "x^2" or "1011_2", there is no
answer. Nor is there one where the last number is a part of what is stated: a factor of a root, of
pi or of a letter, one side of a fraction, a piece of 1,2,3 or of 192.168.1.1. This module knows no
question.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from nbest.scorers.answers.characters import plain_characters
from nbest.scorers.answers.latex import unwrapped
from nbest.scorers.answers.regex import last_match
from nbest.scorers.answers.units import is_counted, is_unit, split_scales

MAX_CHARS = 500
"""A longer number is a sample that ran away, not an answer. It bounds the exact arithmetic, too."""

_COMMA = r"(?:,(?:\\! ?)?|\{,\}|\\,(?:\\!)?|\\[;:! ]|\\thinspace ?|\\text\{[, ]\}|~)"
_GROUPED = (
    rf"(?:[1-9][0-9]{{0,2}}(?:(?:{_COMMA}[0-9]{{3}})+|(?:'[0-9]{{3}})+|(?:\.[0-9]{{3}}){{2,}})"
    r"|(?<![0-9.,] )[1-9][0-9]{0,2}(?: [0-9]{3})+"  # "5 100 200" is one number, "2024 100" two
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3})(?![0-9])"
)
_EUROPEAN = r"(?P<european>[1-9][0-9]{0,2}(?:[. '][0-9]{3})+,[0-9]+)(?![0-9]|[.,][0-9])"
_DOUBTFUL = (
    rf"(?P<doubtful>(?!{_GROUPED})(?<![0-9],)[0-9]+(?:,|\{{,\}})[0-9]+(?:\.[0-9]+)?"
    r"(?:(?: ?(?:x|\*|\\times|[\u00d7\u22c5\u00b7]) ?10\^\{?-?[0-9]+\}?)|/[0-9]+)?"
    r"(?![0-9]|[.,][0-9]))"
)
_INTEGER = rf"(?:{_GROUPED}|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+)"
_NONZERO = r"(?=[0.,]*[1-9])"
_SIGN = r"(?:(?<![\w)\]}-])[-+])?"
_CURRENCY = r"(?:\\?\$|[\u20ac\u00a3\u00a5\u20b9]|(?:Rs\.?|USD|EUR|GBP|INR) ?)"
_TIMES = r"(?:[xX]|\*|\\times|\\cdot|times|[\u00d7\u22c5\u00b7\u2715\u2219\u2022\u2217])"
_EXPONENT = (
    r"(?: ?\{ ?(?P<in_braces%s>[-+]?[0-9]{1,3}) ?\}| ?\( ?(?P<in_brackets%s>[-+]?[0-9]{1,3}) ?\)"
    r"| ?(?P<bare%s>[-+]?[0-9]{1,3})(?!\.?[0-9]))"
)
_POWER = (
    r"(?:[eE](?P<e>[-+]?[0-9]{1,3})(?![0-9])"
    rf"| ?{_TIMES} ?10(?:\^|\*\*){_EXPONENT % ('', '', '')}"
    rf"|(?P<raised>(?:\^|\*\*) ?){_EXPONENT % ('_raised', '_raised', '_raised')})?"
)
_TOP = rf"(?:\{{ ?(?P<over>-?{_DECIMAL}) ?\}}| ?(?P<over_digit>[0-9]))"
_BOTTOM = rf" ?(?:\{{ ?(?P<under>-?{_NONZERO}{_DECIMAL}) ?\}}|(?P<under_digit>[1-9]))"
_NUMBER = (
    rf"(?P<sign>{_SIGN}){_CURRENCY}?(?:{_EUROPEAN}|{_DOUBTFUL}"
    rf"|(?:(?P<before>[0-9]+) ?)?\\[dt]?frac{_TOP}{_BOTTOM}"
    r"|(?P<unsure>[0-9]+ and [0-9]+/[0-9]+)"  # a mixed number, or two
    r"|(?P<whole>[0-9]+) (?P<part>[0-9]+)/(?P<parts>[0-9]+)(?! ?/ ?[0-9])"
    rf"|(?P<top>{_DECIMAL})(?: ?/ ?{_NONZERO}(?P<bottom>{_DECIMAL})|{_POWER}))"
)
_IN_NUMBERS = frozenset(
    "0123456789.,+-$\u20ac\u00a3\u00a5\u20b9 /*\u00d7\u22c5\u00b7\u2715\u2219\u2022\u2217^(){}"
    "\\!';:~"
    "xXeEdtfracimscohnpkRsUSDGBPIN"
)
"""All characters that are in numbers, those of \\dfrac, \\times, \\cdot and \\text among them."""
_ANYWHERE = re.compile(_NUMBER)
_WHOLE = re.compile(rf"(?:{_CURRENCY} ?|\\\( ?)?{_NUMBER}(?: ?\\?[%$]| ?\\\))*\.?")
# What stands before an exponent or an index; and an exponent, or an index, that is not read.
_ATTACHED = re.compile(r"(?P<base>[A-Za-z]*)[)\]}|]* ?(?P<how>\^|_) ?\{? ?[-+]?\Z")
_NOT_RAISED = r"\\circ|\\prime|\\text|\\mathrm|(?:st|nd|rd|th)\b"  # degrees, units, ordinals
# What stands before or behind a number that is only a part of the value: a product, a root, a
# fraction that is not read, a power of something, a list without spaces, an amount below zero.
_PART_BEFORE = re.compile(
    r"(?:\\sqrt(?:\[[^\]]*\])? ?\{? ?|\u221a ?\(?|\\[cdt]?frac ?\{? ?|[}] ?\{ ?(?:\\text\{)?"
    r"|(?:/|\u00f7) ?\(?|<sup>|\^ ?[{(][^{}()]*|[0-9][.,'`]+|\\binom ?\{|[0-9]!"
    r"|\b(?:minus|negative) |(?:^|[=:(]) ?- |(?:^|[\s=:(])-(?:\(|\{|\\text\{))[-+]?\Z",
    re.IGNORECASE,
)
_PART_BEHIND = re.compile(
    rf" ?\^(?! ?\{{? ?(?:{_NOT_RAISED}))|[)\]}}]+ ?\^|_\{{?[0-9]|[.,'`][0-9]"
    r"| ?(?:\\sqrt|\u221a|\\pi|[\u03c0\u03a0])|[A-Za-z]{1,3}\b|[A-Za-z]{4}"
    r"| ?(?:/|\u00f7) ?[0-9({\\]"
)
_AFTER_DIGITS = re.compile(r"(?P<letters>[A-Za-z]+)")
_ORDINALS = frozenset(("st", "nd", "rd", "th"))
_WORD_BEFORE = re.compile(r"(?P<command>\\)?(?P<letters>[A-Za-z]+)\Z")
_SEPARATORS = re.compile(rf"{_COMMA}|[' ]|\.(?=[0-9]{{3}}\.)|(?<=\.[0-9]{{3}})\.")
_FURTHEST_BACK = 40  # characters before a number that may attach it to something
# What any of the patterns for the text before a number needs: most numbers need no other look.
_MAY_ATTACH = re.compile(r"[^A-Za-z0-9\s:=$(]|[A-Za-z]\Z|\b(?:minus|negative) ", re.IGNORECASE)
_LAST_DIGIT = re.compile(r"[0-9][^0-9]*+\Z")
_NEAR_THE_END = 64  # characters in which the last digit mostly is
_MOST_UNITS = 4  # exponents of units that are skipped from the end


def canonical_number(text: str) -> str | None:
    """The one spelling of the number that `text` is; None where it is not a number.

    >>> [canonical_number(t) for t in ("1,000", "$1000.0", "1e3", "2/6", "-0", "5 km")]
    ['1000', '1000', '1000', '1/3', '0', None]
    """
    stripped = text.strip()
    if len(stripped) > MAX_CHARS:
        return None
    if stripped.isdecimal() and stripped.isascii():  # most answers are
        return stripped.lstrip("0") or "0"
    plain = plain_characters(stripped).strip()
    match = _WHOLE.fullmatch(plain) or _WHOLE.fullmatch(unwrapped(plain))
    return _spelling(match) if match else None


def counted_number(text: str) -> str | None:
    """The number of what a text counts: "18 dollars", "5 million"; None where it says more.

    >>> [counted_number(t) for t in ("18 dollars", "5 million people", "3 quarters", "3 or less")]
    ['18', '5000000', None, None]
    """
    number, _, words = text.strip().rstrip(".").partition(" ")
    spelled = canonical_number(number) if len(words) <= MAX_CHARS else None
    if spelled is None or not words:
        return None
    factor, counted = split_scales(words)
    if counted and not is_counted(counted):
        return None
    return canonical_number(str(Fraction(spelled) * factor))


def last_number(text: str) -> str | None:
    """The canonical spelling of the last number in `text`."""
    plain = plain_characters(text)
    end = len(plain)
    for _ in range(_MOST_UNITS):
        found = _last_before(plain, end)
        if found is None:
            return None
        start, stop, spelling = found
        first = max(0, start - _FURTHEST_BACK)
        if not _MAY_ATTACH.search(plain, first, start):
            return None if _goes_on(plain, stop) else spelling
        word = _WORD_BEFORE.search(plain, first, start)
        if word and not word["command"] and not is_unit(word["letters"]):
            end = word.start()  # "H2", "fig2": a digit in a word is no number
            continue
        attached = _ATTACHED.search(plain, first, start)
        if attached is None:
            is_part = _PART_BEFORE.search(plain, first, start) or _goes_on(plain, stop)
            return None if is_part else spelling
        if attached["how"] == "_" or not is_unit(attached["base"]):
            return None
        end = attached.start()
    return None


def _goes_on(text: str, stop: int) -> bool:
    """Whether what follows a number makes it only a part of the value that a text states."""
    behind = _PART_BEHIND.match(text, stop)
    if behind is None:
        return False
    letters = _AFTER_DIGITS.match(text, stop)  # of "5km" or "5th"
    return letters is None or not (letters[0] in _ORDINALS or is_unit(letters[0]))


def _last_before(text: str, end: int) -> tuple[int, int, str | None] | None:
    """Where the last number before `end` starts and stops, and its spelling."""
    last = _last_digit(text, end)
    if last < 0:
        return None
    # No number goes over a character that is in none, as the end of a line is, and behind the last
    # of these there is a digit, so a number: what is before, a chain of thought, need not be read.
    start = last
    while start > 0 and text[start] in _IN_NUMBERS:
        start -= 1
    stop = text.find("\n", last, end)
    part = text[start : stop if stop >= 0 else end]
    match = last_match(_ANYWHERE, part)
    return (start + match.start(), start + match.end(), _spelling(match)) if match else None


def _last_digit(text: str, end: int) -> int:
    """Where the last digit before `end` stands; -1 where there is none."""
    if near := _LAST_DIGIT.search(text, max(0, end - _NEAR_THE_END), end):
        return near.start()
    return max(text.rfind(digit, 0, end) for digit in "0123456789")


def _spelling(match: re.Match[str]) -> str | None:
    text = match[0]
    if len(text) > MAX_CHARS:
        return None
    if text.isdecimal() and text.isascii():  # most answers are; the way below gives the same
        return text.lstrip("0") or "0"
    spelling = _value(match)
    if spelling is None or len(spelling) > MAX_CHARS:
        return None
    if match["sign"] == "-" and spelling != "0":
        return spelling[1:] if spelling.startswith("-") else f"-{spelling}"
    return spelling


def _value(match: re.Match[str]) -> str | None:
    """The spelling of the number without the sign before it; None where it is in doubt."""
    if match["european"]:
        return _plain(_decimal(re.sub("[. ']", "", match["european"]).replace(",", ".")))
    over, under = match["over"] or match["over_digit"], match["under"] or match["under_digit"]
    if over and under:
        return _mixed(match["before"], over, under)
    if match["whole"]:
        return _mixed(match["whole"], match["part"], match["parts"])
    if match["doubtful"] or match["unsure"]:
        return None
    top, bottom = _decimal(match["top"]), match["bottom"]
    if bottom is not None:
        return _ratio(top, _decimal(bottom))
    if match["raised"] is not None:
        return _raised(top, _exponent(match, "_raised"))
    return _plain(_decimal(match["top"], match["e"] or str(_exponent(match, ""))))


def _exponent(match: re.Match[str], which: str) -> int:
    found = (match[f"{place}{which}"] for place in ("in_braces", "in_brackets", "bare"))
    return int(next(filter(None, found), "0"))


def _mixed(whole: str | None, over: str, under: str) -> str | None:
    """A fraction, with a whole number before it only where it is below 1: 2 3/2 is in doubt."""
    top, bottom = _decimal(over), _decimal(under)
    if bottom == 0:
        return None
    if whole is None:
        return _ratio(top, bottom)
    if not 0 < top < bottom:
        return None
    return _ratio(_decimal(whole) * bottom + top, bottom)


def _raised(base: Decimal, exponent: int) -> str | None:
    """The power, exactly; None where it has too many digits."""
    digits = len(base.as_tuple().digits) - min(0, int(base.as_tuple().exponent))
    if digits * abs(exponent) > MAX_CHARS or (base == 0 and exponent <= 0):
        return None
    power = Fraction(base) ** exponent
    return _ratio(Decimal(power.numerator), Decimal(power.denominator))


def _decimal(digits: str, power: str = "0") -> Decimal:
    return Decimal(_SEPARATORS.sub("", digits) + "e" + power)


def _ratio(top: Decimal, bottom: Decimal) -> str:
    # A quotient of two decimals of d digits in all has at most about 4 d digits, or no end.
    try:
        return _plain(Context(prec=5 * MAX_CHARS, traps=[Inexact]).divide(top, bottom))
    except Inexact:
        return str(Fraction(top) / Fraction(bottom))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
