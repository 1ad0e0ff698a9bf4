r"""The parts of a mathematical answer: `x = 5 cm` is 5, with a name before it and a unit behind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbest.scorers.answers.units import split_scales, unit_of
from nbest.scorers.equivalence.math_text import (
    BRACED_TOKEN,
    COMMAND,
    FONT,
    LETTERS,
    MAX_ANSWER,
    PRICE,
    TEXT,
    number_of,
    tidied,
)
from nbest.scorers.equivalence.plain import exact_number

_SYMBOL = r"(?:[A-Z]{2,4}|[A-Za-z]|\\[a-z]+)(?:_(?:\{[^{}]*\}|\w))?"
_NAME = (
    rf"(?:{_SYMBOL}(?: ?\([A-Za-z](?:, ?[A-Za-z])*\))?|{_SYMBOL} ?: ?{_SYMBOL}"  # f(x), A:B
    rf"|\({_SYMBOL}(?: ?, ?{_SYMBOL})+ ?\)|\|[A-Z]{{2}}\|)"  # (p, q), |AB|
)
_ASSIGNED = re.compile(rf"(?P<name>{_NAME}) ?= ?(?P<core>[^=<>;]+)")
_FUNCTION_VALUE = re.compile(r"(?<![A-Za-z\\])[a-zA-Z] ?\([a-zA-Z]\)")
_SIGNED = {"$": "dollar", "\u20ac": "euro", "\u00a3": "pound", "\u00a5": "yen"}
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_TURNED = re.compile(r"(?P<core>[-+0-9./]+) ?= ?(?P<name>[A-Za-z])")
_COMPUTED = re.compile(r"[-+*/^(){}\s0-9.!]|\\(?:frac|sqrt|cdot|times|div|binom)")
_UNIT = re.compile(
    r"(?P<core>[^ ].*?) ?"
    rf"(?:{FONT} ?\{{(?P<unit>[A-Za-z ./]+)\}}"
    r"(?P<power> ?\^ ?\{?[0-9]\}?)?|(?P<degree>\^ ?\{? ?\\circ ?\}?|\u00b0))"
)
_COUNTED = re.compile(r"(?P<core>[-+]?[0-9][0-9.,/]*) (?P<words>[A-Za-z]+(?:[ /][A-Za-z]+){0,3})")
_ANGLE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:\^ ?\{? ?\\circ ?\}?|\u00b0)")


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """The parts of an answer such as `x = 5 cm`: its core, with the name and the unit around it.

    `whole` is an equation that the answer can be read as, too: `y = 2x` is 2x, or a line.
    """

    core: str
    variable: str = ""
    unit: str = ""
    whole: str = ""

    def names(self) -> tuple[tuple[str, str], ...]:
        return ("variable", self.variable), ("unit", self.unit)


def parts_of(answer: str) -> AnswerParts:
    """The parts of an answer, in tidy LaTeX; one that is too long is a part whole."""
    if len(answer) > MAX_ANSWER:
        return AnswerParts(answer)
    plain = tidied(answer)
    variable, core = _named_list(plain) or _named(plain)
    core, unit = _measured(core)
    if priced := PRICE.fullmatch(core):
        core, unit = priced["core"], _SIGNED[priced["sign"]]
    if core.endswith("%") and number_of(core.rstrip("% ")) is not None:
        core, unit = core.rstrip("% "), "percent"
    whole = plain if variable and re.search(r"[A-Za-z]", COMMAND.sub("", core)) else ""
    core = with_angles(core.strip())
    if re.search(r"[<>]|\\[lg]e(?:q|qslant)?(?![a-z])", core):
        core = _FUNCTION_VALUE.sub("f", core)  # what f(x) may be
    return AnswerParts(core, variable, unit, whole)


def _named_list(plain: str) -> tuple[str, str] | None:
    """The names and the values of `x = 1, y = 2`, and of `p=5,q=2;p=7,q=2`, which are points.

    A list that says one thing again and again says it once. None where it is no such list.
    """
    groups = [split_at_top(group, ",") for group in split_at_top(plain, ";")]
    parts = [part for group in groups for part in group]
    if len(parts) < 2:
        return None
    if len(set(parts)) == 1:
        return _named(parts[0])
    named = [dict(_named(part) for part in group) for group in groups]
    if not all(map(all, named)) or any(set(group) != set(named[0]) for group in named):
        return None
    if len(named[0]) < len(groups[0]):  # x = 1, x = 2: what x may be
        return None
    names = sorted(named[0])
    values = [[group[name].strip() for name in names] for group in named]
    said = [",".join(map(_assignment, names, row)) for row in values]
    rows = [", ".join(row) for row in values]
    return ";".join(sorted(said)), ", ".join(f"({row})" for row in rows)


def _assignment(name: str, value: str) -> str:
    """One text for equal assignments of numbers: a list of values has no order of its own."""
    number = number_of(value)
    bare = BRACED_TOKEN.sub(r"\1\2", name).replace(" ", "")
    return f"{bare}={value.replace(' ', '') if number is None else number}"


def split_at_top(text: str, mark: str) -> list[str]:
    """The parts of a text between marks that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == mark and depth <= 0:
            parts.append(text[start:place].strip())
            start = place + 1
    parts.append(text[start:].strip())
    return parts


def _named(plain: str) -> tuple[str, str]:
    """The name and the value of `x = 5`, `5 = x`, `a_n = 2n`, `2 + 3 = 5`; no name for others."""
    if "=" not in plain:
        return "", plain
    *sides, last = plain.split("=")
    is_value = not re.search(r"[A-Za-z]", COMMAND.sub("", last))
    if len(sides) > 1 and all(sides) and not re.search(r"[<>,;]", plain):  # x = 2 + 3 = 5
        name = sides[0].strip()
        return (name if re.fullmatch(_NAME, name) else ""), last.strip()
    if turned := _TURNED.fullmatch(plain):
        return turned["name"], turned["core"].strip()
    if is_value and len(sides) == 1 and sides[0].strip() and not _COMPUTED.sub("", sides[0]):
        return "", last.strip()  # 2 + 3 = 5
    assigned = _ASSIGNED.fullmatch(plain)
    if assigned is None:
        return "", plain
    letter = re.escape(assigned["name"].rstrip())
    if re.search(rf"(?<![A-Za-z\\]){letter}", assigned["core"]):
        return "", plain
    return assigned["name"].strip(), assigned["core"]


def _measured(core: str) -> tuple[str, str]:
    """The core without its unit, and the unit's one name; magnitudes are multiplied."""
    counted = _COUNTED.fullmatch(core)
    if counted:
        factor, unit = _factor_and_unit(counted["words"])
        is_number = exact_number(counted["core"]) is not None
        return (
            (_times(counted["core"], factor), unit)
            if is_number and unit is not None
            else (core, "")
        )
    measured = _UNIT.fullmatch(core)
    if measured is None or TEXT.search(measured["core"]) or _TRIGONOMETRIC.search(core):
        return core, ""
    if measured["degree"]:
        is_number = number_of(measured["core"].strip()) is not None
        return (measured["core"], "degree") if is_number else (core, "")
    spelled = measured["unit"].strip()
    factor, unit = _factor_and_unit(spelled)
    is_letter = spelled in LETTERS and not measured["unit"].startswith(" ")
    if unit is None or is_letter or spelled in ("e", "i"):
        return core, ""
    if factor > 1 and exact_number(measured["core"]) is None:
        return core, ""
    power = (measured["power"] or "").strip(" ^{}")
    return _times(measured["core"], factor), unit + power


def _times(core: str, factor: int) -> str:
    """The core times what its magnitudes say; unchanged where there are none."""
    number = exact_number(core) if factor > 1 else None
    return core if number is None else str(number * factor)


def _factor_and_unit(words: str) -> tuple[int, str | None]:
    """What the magnitudes at the start of words say, and the unit after them; None: it is none."""
    factor, rest = split_scales(words)
    if rest or factor == 1:
        return factor, unit_of(rest)
    return factor, ""


def with_angles(core: str) -> str:
    """The core with its degrees in radians; 30 degrees alone keep their unit."""
    return _ANGLE.sub(r"(\1 \\cdot \\frac{\\pi}{180})", core)
