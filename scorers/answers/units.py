"""Units and magnitudes, as closed lists: any other word after a number is part of the answer.

"5 m" is 5, and "5 million" is 5000000; "5 factorial" and "3 or less" are neither 5 nor 3.
"""

from __future__ import annotations

import re

# Symbols differ by case: a megawatt is no milliwatt, and a metre no million.
_SYMBOL_LIST = """
m mm cm dm km nm \u00b5m \u03bcm um in ft yd mi nmi s ms \u00b5s \u03bcs us ns min h hr hrs g mg
kg t lb lbs oz l L ml mL dl dL cl cL kL gal pt qt N kN J kJ MJ cal kcal W mW kW MW GW Wh kWh V
mV kV A mA Hz kHz MHz GHz Pa hPa kPa MPa atm bar K mol rad deg px B KB kB MB GB TB mph kph km/h
m/s ha ac sq cu sec secs mins yr yrs wk wks mo EUR USD GBP Rs INR CHF US CAD AUD
"""
_SYMBOLS = frozenset(_SYMBOL_LIST.split())

_WORD_LIST = """
metre meter millimetre millimeter centimetre centimeter kilometre kilometer inch foot feet yard
mile second minute hour day week month year decade gram gramme kilogram milligram tonne ton
pound ounce litre liter millilitre milliliter gallon pint quart cup teaspoon tablespoon newton
joule kilojoule calorie kilocalorie watt kilowatt volt amp ampere hertz pascal kelvin mole
radian degree unit way apple egg book page card coin ticket dollar cent euro penny pence pennie
yen rupee peso franc buck acre hectare byte bit pixel point people person student child children
celsius fahrenheit square cubic squared cubed per
"""
_WORDS = frozenset(_WORD_LIST.split())
# Plurals that change the number before them, or are none: all other plurals are what is counted.
_NOT_COUNTED_LIST = """
halves quarters pairs dozens scores tens hundreds thousands millions billions trillions lakhs crores
times factorials squares cubes roots powers ones twos threes fours fives sixes sevens eights nines
percents plus minus less unless percentiles remainders points others always perhaps besides thus
"""
_NOT_COUNTED = frozenset(_NOT_COUNTED_LIST.split())
_NO_PLURAL = re.compile(r"(?:ss|us|is|ths|rds|nds)\Z")
_SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
    "lakh": 10**5,
    "crore": 10**7,
    "mn": 10**6,
    "mln": 10**6,
    "bn": 10**9,
    "dozen": 12,
}
_SPELLED = re.compile(r"[^\W\d_]+")


def unit_of(text: str) -> str | None:
    """The one name of the unit that a text is: "m", "metre", "square metre"; None where it is none.

    Spelled-out words have no case and no plural; symbols stay as they are.
    """
    stripped = text.strip().rstrip(".")
    if stripped in _SYMBOLS:
        return stripped
    parts = [_word(word) for word in re.split(r"[ /.\-]+", stripped) if word]
    if not parts or None in parts:
        return None
    if parts[0] in ("square", "cubic", "squared", "cubed", "per") and len(parts) == 1:
        return None
    return " ".join(str(part) for part in parts)


def is_unit(text: str) -> bool:
    """Whether a text is a unit."""
    return unit_of(text) is not None


def scale_of(word: str) -> int | None:
    """What a magnitude multiplies by: 1000 for "thousand"; None for other words."""
    folded = word.casefold()
    return _SCALES.get(folded) or _SCALES.get(folded.removesuffix("s"))


def split_scales(words: str) -> tuple[int, str]:
    """What the magnitudes at the start of words multiply by, and the words after them.

    >>> split_scales("hundred thousand dollars"), split_scales("dollars")
    ((100000, 'dollars'), (1, 'dollars'))
    """
    factor, rest = 1, words.split()
    while rest and (scale := scale_of(rest[0])) is not None:
        factor *= scale
        rest.pop(0)
    return factor, " ".join(rest)


def _word(word: str) -> str | None:
    if word in _SYMBOLS:
        return word
    folded = word.casefold()
    if _SPELLED.fullmatch(folded) is None:
        return None
    for form in (folded, folded.removesuffix("s"), folded.removesuffix("es")):
        if form in _WORDS:
            return form
    return None


def is_counted(words: str) -> bool:
    """Whether words after a number say what is counted: a unit, or a plain plural: "apples"."""
    if is_unit(words):
        return True
    is_word = re.fullmatch(r"[a-z]{4,}s", words) is not None
    return is_word and words not in _NOT_COUNTED and not _NO_PLURAL.search(words)
