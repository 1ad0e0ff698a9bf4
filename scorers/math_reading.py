"""What a mathematical answer is, as a key: equal keys, equal meaning.

math-verify turns LaTeX into a SymPy object. What kind of thing that is comes first, so that an
ordered pair is no set and an interval no number; then its value, exactly where it is rational, and
otherwise to 20 digits, with fixed numbers in the place of its symbols. Two expressions that agree
there are equal, but for a chance of about one in 10^20.

This runs in a process that may be killed at any moment: SymPy can take for ever. It needs nothing
of nbest but this file.
"""

from __future__ import annotations

import json
import sys
from typing import Any

DIGITS = 20
READY = "ready"


def serve() -> None:
    """Read answers, one JSON text a line, and write their keys, until the input ends."""
    import math_verify  # noqa: F401 -- half a second, before the clock of the first answer starts

    print(READY, flush=True)
    for line in sys.stdin:
        try:
            key = key_of(json.loads(line))
        # Whatever SymPy and the parser raise at what a model wrote: the answer cannot be read.
        except Exception:  # noqa: BLE001
            key = None
        print(json.dumps(key), flush=True)


def key_of(answer: str) -> str | None:
    """The key of an answer in LaTeX or plain notation; None where it is no mathematics."""
    from math_verify import LatexExtractionConfig, parse

    # The time limits of the package use a signal, which only a main thread can get.
    found = parse(f"${answer}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    objects = [each for each in found if not isinstance(each, str)]
    return _key(objects[0]) if objects else None


def _key(value: Any) -> str | None:
    """SymPy has no types: `value` is any of its objects."""
    import sympy as sp

    if isinstance(value, sp.FiniteSet):
        return _joined("set", sorted(value.args, key=str), is_sorted=True)
    if isinstance(value, sp.Interval) and value.left_open and value.right_open:
        return _joined("tuple", value.args[:2])  # "(1, 2)" is both: whoever writes it means one
    if isinstance(value, sp.Interval):
        return _joined(f"interval{bool(value.left_open)}{bool(value.right_open)}", value.args[:2])
    if isinstance(value, sp.Tuple):
        return _joined("tuple", value.args)
    if isinstance(value, sp.Union):
        return _joined("union", value.args, is_sorted=True)
    if isinstance(value, sp.MatrixBase):
        return _joined(f"matrix{value.shape}", list(value))
    if isinstance(value, sp.Equality):
        return _equation_key(value.lhs, value.rhs)
    if isinstance(value, sp.core.relational._Inequality):
        return _inequality_key(value)
    return _expression_key(value) if isinstance(value, sp.Expr) else f"other:{sp.srepr(value)}"


def _joined(kind: str, parts: Any, *, is_sorted: bool = False) -> str | None:
    keys = [_key(part) for part in parts]
    if None in keys:
        return None
    known = [str(key) for key in keys]
    return json.dumps([kind, *(sorted(known) if is_sorted else known)])


def _expression_key(value: Any) -> str | None:
    exact = value.doit()
    if exact.is_Rational or exact.is_infinite:
        return f"number:{exact}"
    names = sorted(map(str, exact.free_symbols))
    digits = _digits(_at(exact, 0))
    return None if digits is None else f"expression:{','.join(names)}:{digits}"


def _equation_key(left: Any, right: Any) -> str | None:
    """`x = 5` means 5. Other equations are the same up to a factor."""
    if left.is_Symbol and left not in right.free_symbols:
        return _key(right)
    ratio = _at(left - right, 0) / _at(left - right, 1)
    digits = _digits(ratio)
    return None if digits is None else f"equation:{digits}"


def _inequality_key(value: Any) -> str | None:
    """`x > 3` is `3 < x`: as something that is above zero, up to a positive factor."""
    rest = value.gts - value.lts
    first, second = _at(rest, 0), _at(rest, 1)
    digits = _digits(first / second)
    strict = "strict" if "Strict" in type(value).__name__ else "weak"
    return None if digits is None else f"{strict}:{digits}:{first > 0}"


def _at(value: Any, point: int) -> Any:
    """The value with fixed numbers for its symbols, other ones at each point."""
    import sympy as sp

    symbols = sorted(value.free_symbols, key=str)
    places = {
        symbol: sp.Rational(7391 + 1173 * i + 3571 * point, 10007)
        for i, symbol in enumerate(symbols)
    }
    return sp.N(value.doit().subs(places), DIGITS + 15, chop=True)


def _digits(number: Any) -> str | None:
    import sympy as sp

    if not number.is_number or number.has(sp.nan, sp.zoo):
        return None
    real, imaginary = number.as_real_imag()
    return f"{sp.N(real, DIGITS)},{sp.N(imaginary, DIGITS, chop=True)}"
