"""Numbers as models write them, and one spelling for each value.

Equal values get equal strings, so that "1,000", "1000.0" and "1e3" are one answer in a vote. The
arithmetic is exact: no float is involved.

What is read:

    -5  +5  .5  007         a sign counts only where it cannot be a minus between two operands,
                            so that "10-3" ends in 3
    1,000  1{,}000  1\\,000  thousands separators, plain or in LaTeX; "0,5" is two numbers, because
                            a comma is never a decimal point
    1e3  1.5 x 10^3         exponents of at most three digits
    1/2  \\frac{1}{2}        a fraction; it is spelled as a decimal where that is exact (0.5),
                            otherwise in lowest terms (1/3); "1 1/2" is 1 and then 1/2
    $5  50%  5 km           5, 50, 5: units are dropped, the percent sign among them

This module knows no question and no unit. It cannot tell a date from a fraction.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from nbest.scorers.answers.regex import last_match

MAX_CHARS = 500
"""A longer number is a sample that ran away, not an answer. It bounds the exact arithmetic, too."""

_SEPARATOR = r"(?:,(?:\\!)?|\{,\}|\\,)"
_INTEGER = rf"(?:[1-9][0-9]{{0,2}}(?:{_SEPARATOR}[0-9]{{3}})+(?![0-9])|[0-9]+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+)"
_NONZERO = r"(?=[0.,]*[1-9])"
_SIGN = r"(?:(?<![\w)\]}-])[-+\u2212])?"
_CURRENCY = r"(?:\\?\$|[\u20ac\u00a3\u00a5])"
_POWER = (
    r"(?:[eE](?P<e>[-+]?[0-9]{1,3})(?![0-9])"
    r"| ?(?:x|\*|\\times|\\cdot|\u00d7) ?10\^(?:\{(?P<braced>[-+]?[0-9]{1,3})\}"
    r"|(?P<bare>[-+]?[0-9]{1,3})(?![0-9])))?"
)
_NUMBER = (
    rf"(?P<sign>{_SIGN}){_CURRENCY}?(?:"
    rf"\\[dt]?frac\{{(?P<over>-?{_DECIMAL})\}}\{{{_NONZERO}(?P<under>{_DECIMAL})\}}"
    rf"|(?P<top>{_DECIMAL})(?: ?/ ?{_NONZERO}(?P<bottom>{_DECIMAL})|{_POWER}))"
)
_IN_NUMBERS = frozenset("0123456789.,+-\u2212$\u20ac\u00a3\u00a5 /*\u00d7^(){}\\!xeEdtfracimsco")
"""All characters that are in numbers, those of \\dfrac, \\times and \\cdot among them."""
_ANYWHERE = re.compile(_NUMBER)
_WHOLE = re.compile(rf"(?:{_CURRENCY} ?|\\\( ?)?{_NUMBER}(?: ?\\?[%$]| ?\\\))*\.?")


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
    match = _WHOLE.fullmatch(stripped)
    return _spelling(match) if match else None


def last_number(text: str) -> str | None:
    """The canonical spelling of the last number in `text`."""
    last = max(map(text.rfind, "0123456789"))
    if last < 0:
        return None
    # No number goes over a character that is in none, as the end of a line is, and behind the last
    # of these there is a digit, so a number: what is before, a chain of thought, need not be read.
    start = last
    while start > 0 and text[start] in _IN_NUMBERS:
        start -= 1
    end = text.find("\n", last)
    match = last_match(_ANYWHERE, text[start : end if end >= 0 else len(text)])
    return _spelling(match) if match else None


def _spelling(match: re.Match[str]) -> str | None:
    text = match[0]
    if len(text) > MAX_CHARS:
        return None
    if text.isdecimal() and text.isascii():  # most answers are; the way below gives the same
        return text.lstrip("0") or "0"
    power = match["e"] or match["braced"] or match["bare"] or "0"
    top = _decimal(match["over"] or match["top"], power)
    if match["sign"] in ("-", "\u2212"):
        top = top.copy_negate()
    bottom = match["under"] or match["bottom"]
    spelling = _plain(top) if bottom is None else _ratio(top, _decimal(bottom))
    return spelling if len(spelling) <= MAX_CHARS else None


def _decimal(digits: str, power: str = "0") -> Decimal:
    return Decimal(re.sub(_SEPARATOR, "", digits) + "e" + power)


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
