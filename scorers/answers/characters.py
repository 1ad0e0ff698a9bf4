r"""One spelling for characters that mean the same: minus signs, spaces, fractions, superscripts.

Models write -5 with any of seven dashes, and 10 000 with any of a dozen spaces. What reads numbers,
mathematics, letters or phrases reads `plain_characters` of a text, so that none needs to know them.
"""

from __future__ import annotations

import re
import unicodedata

_MINUS = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
_SPACES = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff"
_SLASHES = "\u2044\u2215"
_APOSTROPHES = "\u2019\u02bc"

# Fullwidth letters, digits and signs stand 0xFEE0 above those of ASCII.
_TABLE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_TABLE |= dict.fromkeys(map(ord, _MINUS), "-")
_TABLE |= dict.fromkeys(map(ord, _SPACES), " ")
_TABLE |= dict.fromkeys(map(ord, _INVISIBLE), "")
_TABLE |= dict.fromkeys(map(ord, _SLASHES), "/")
_TABLE |= dict.fromkeys(map(ord, _APOSTROPHES), "'")
_TABLE[0x066C] = ","  # the Arabic thousands separator

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_SUBSCRIPT = re.compile("[\u2080-\u2089]+")
_RAISED_MINUS = re.compile("\u207b(?=[0-9])")  # a sign, with no number to be the power of
_SUPERSCRIPT = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_VULGAR = re.compile(r"([0-9])?([\u00bc-\u00be\u2150-\u215e])")


def plain_characters(text: str) -> str:
    """The text with one spelling for characters that mean the same.

    >>> plain_characters("\u22122\u00bd * 10\u00b3")
    '-2 1/2 * 10^{3}'
    """
    if "&nbsp;" in text:
        text = text.replace("&nbsp;", " ")
    if text.isascii():
        return text
    text = _SUBSCRIPT.sub(_index, _RAISED_MINUS.sub("-", text))
    return _SUPERSCRIPT.sub(_power, _VULGAR.sub(_fraction, text.translate(_TABLE)))


def _power(match: re.Match[str]) -> str:
    return "^{" + "".join(map(_SUPERSCRIPTS.__getitem__, match[0])) + "}"


def _index(match: re.Match[str]) -> str:
    return "_{" + "".join(chr(ord(digit) - 0x2080 + ord("0")) for digit in match[0]) + "}"


def _fraction(match: re.Match[str]) -> str:
    """`2½` is two and a half: a mixed number, with a space before its fraction."""
    fraction = unicodedata.normalize("NFKC", match[2]).translate(_TABLE)
    return f"{match[1]} {fraction}" if match[1] else fraction
