"""What a mathematical answer is, as a key: equal keys, equal meaning.

The parser of math-verify turns LaTeX into a SymPy object. What kind of thing that is comes first,
so that an ordered pair is no set and an interval no number; then its value, exactly where it is
rational, and otherwise to 100 digits, at points with fixed numbers in the place of the symbols.
Two expressions that agree at all of them are equal, but for a chance of about one in 10^100.

This runs in a child process that may be killed at any moment: SymPy can take for ever.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from nbest.orchestrator.errors import InputError

DIGITS = 100


def warm_up() -> None:
    """Import what takes a second; InputError where it is not installed."""
    try:
        import math_verify  # noqa: F401
    except ImportError as error:
        raise InputError("mathematics needs a package: pip install 'nbest[math]'") from error


def key_of(answer: str) -> str | None:
    """The key of an answer in LaTeX or plain notation; None where it is no mathematics."""
    return _key(_object(answer))


def _object(answer: str) -> Any:
    """The SymPy object of all of the answer, or an exception.

    `math_verify.parse` would look for something readable in it, drop units, and take R for r.
    """
    from math_verify.grader import should_treat_as_complex

    parser = import_module("latex2sympy2_extended.latex2sympy2")
    looks = parser.NormalizationConfig(units=False, malformed_operators=True, nits=True)
    plain = parser.normalize_latex(answer, looks)
    value = parser.latex2sympy(
        plain,
        is_real=not should_treat_as_complex(plain),
        normalization_config=None,
        conversion_config=parser.ConversionConfig(lowercase_symbols=False),
    )
    return _exact(value)


def _exact(value: Any) -> Any:
    """The value with fractions for its decimals, and the imaginary unit for the symbol i."""
    import sympy as sp

    i = {s: sp.I for s in value.free_symbols if s.name == "i"}
    decimals = {f: sp.Rational(str(f)) for f in value.atoms(sp.Float)}
    return value.xreplace(i | decimals) if i or decimals else value


def _key(value: Any) -> str | None:
    """The key of a SymPy object of any kind; SymPy has no types to say so."""
    import sympy as sp

    if isinstance(value, sp.FiniteSet):
        return _joined("set", _members(value), is_sorted=True)
    if value in (sp.S.Reals, sp.S.EmptySet):
        return "set:all" if value == sp.S.Reals else "set:none"
    if isinstance(value, sp.Interval):
        return _interval_key(value)
    if isinstance(value, sp.And):
        return _region_key(value)
    if isinstance(value, sp.Tuple):
        return _joined("tuple", value.args)
    if isinstance(value, sp.Union):
        return _joined("union", value.args, is_sorted=True)
    if isinstance(value, sp.MatrixExpr):  # a sum or a product of matrices
        value = value.doit().as_explicit()
    if isinstance(value, sp.MatrixBase):
        return _joined(f"matrix{value.shape}", list(value))
    if isinstance(value, sp.Equality):
        if isinstance(value.rhs, sp.Set):  # "x is in" what follows
            return _key(value.rhs)
        return _equation_key(value.lhs, value.rhs)
    if isinstance(value, sp.core.relational._Inequality):
        return _region_key(value) or _inequality_key(value)
    return _expression_key(value) if isinstance(value, sp.Expr) else f"other:{sp.srepr(value)}"


def _interval_key(value: Any) -> str | None:
    """The key of an interval; "(1, 2)" is a point, too: whoever writes it means one of the two."""
    import sympy as sp

    if value == sp.S.Reals:
        return "set:all"
    is_bounded = value.start.is_finite and value.end.is_finite
    if value.left_open and value.right_open and is_bounded:
        return _joined("tuple", value.args[:2])
    return _ends_key(value)


def _ends_key(value: Any) -> str | None:
    return _joined(f"interval{bool(value.left_open)}{bool(value.right_open)}", value.args[:2])


def _region_key(value: Any) -> str | None:
    """The key of the numbers that fulfil inequalities of one variable: 0 < x < 1, x > 3."""
    import sympy as sp

    symbols = list(value.free_symbols)
    if len(symbols) != 1:
        return None
    real = sp.Symbol("x", real=True)
    try:
        region = value.subs(symbols[0], real).as_set()
    except (NotImplementedError, ValueError, TypeError, AttributeError):  # SymPy cannot solve it
        return None
    if isinstance(region, sp.Interval):
        return _interval_key(region)
    if isinstance(region, sp.Union) and all(isinstance(p, sp.Interval) for p in region.args):
        keys = [_ends_key(part) for part in region.args]
        return None if None in keys else json.dumps(["union", *sorted(map(str, keys))])
    return None


def _joined(kind: str, parts: Any, *, is_sorted: bool = False) -> str | None:
    import sympy as sp

    # Among others a condition keeps the name of what it is about: x > 0, y < 0.
    relation = sp.core.relational._Inequality
    keys = [_inequality_key(p) if isinstance(p, relation) else _key(p) for p in parts]
    if None in keys:
        return None
    texts = [str(key) for key in keys]
    return json.dumps([kind, *(sorted(texts) if is_sorted else texts)])


def _members(value: Any) -> list[Any]:
    """The members of a set: `x = 1 or x = 2` is 1 and 2; names count where they differ."""
    import sympy as sp

    parts = list(value.args)
    names = {part.lhs if isinstance(part, sp.Equality) else None for part in parts}
    name = next(iter(names)) if len(names) == 1 else None
    return [part.rhs for part in parts] if getattr(name, "is_Symbol", False) else parts


def _expression_key(value: Any) -> str | None:
    import sympy as sp

    exact = value.doit()
    if exact.is_Rational or exact in (sp.oo, -sp.oo):
        return f"number:{exact}"
    is_branched = _is_branched(exact)
    points = (0, 2, 3) if is_branched else (0, 1, 2)
    values = [_at(exact, point) for point in points]
    if all(map(_is_tiny, values)) and sp.simplify(exact) == 0:
        return "number:0"
    near = _fraction_near(values[0])
    # Nearness is no proof: 262537412640768743.99999999999925 is no integer.
    is_near = near is not None and all(_fraction_near(value) == near for value in values)
    if is_near and sp.simplify(exact - near) == 0:
        return f"number:{near}"
    digits = [_digits(value) for value in values]
    if None in digits:
        return None
    below = _below_zero(exact) if is_branched else ""
    return f"expression:{below}{';'.join(map(str, digits))}"


def _below_zero(value: Any) -> str:
    """What a value with roots or logarithms is where its first symbol is below zero.

    Where that is not real, other spellings of the same take other branches, and it says no more.
    """
    import sympy as sp

    first = min(value.free_symbols, key=str)
    there = _at(value, 2, {first: sp.Rational(-3571, 1009)})
    digits = _digits(there)
    is_real = digits is not None and digits.endswith(",0")
    return f"{digits};" if is_real else "complex;"


def _is_branched(value: Any) -> bool:
    """Whether there is a root or a logarithm of something that holds a symbol."""
    import sympy as sp

    roots = (p for p in value.atoms(sp.Pow) if p.exp.is_Rational and not p.exp.is_Integer)
    return any(part.args[0].free_symbols for part in (*roots, *value.atoms(sp.log)))


def _fraction_near(number: Any) -> Any:
    """The fraction that a number equals but for rounding: sin^2 x + cos^2 x is 1."""
    import sympy as sp

    if not number.is_Float or _is_tiny(number):
        return None
    near = sp.Rational(str(number)).limit_denominator(1_000_000)
    return near if _is_tiny(number / near - 1 if near else number) else None


def _is_tiny(number: Any) -> bool:
    return bool(number.is_number and abs(number) < 10 ** -(DIGITS + 5))


def _equation_key(left: Any, right: Any) -> str | None:
    """The key of an equation, up to a factor; `x = 5` among others keeps its name."""
    digits = _digits(_at(left - right, 0) / _at(left - right, 1))
    return None if digits is None else f"equation:{digits}"


def _inequality_key(value: Any) -> str | None:
    """The key of what is above zero, up to a positive factor: `x > 3` is `3 < x`."""
    rest = value.gts - value.lts
    first, second = _at(rest, 0), _at(rest, 1)
    digits = _digits(first / second)
    strict = "strict" if "Strict" in type(value).__name__ else "weak"
    return None if digits is None else f"{strict}:{digits}:{first > 0}"


def _at(value: Any, point: int, given: Mapping[Any, Any] | None = None) -> Any:
    """The value with fixed numbers for its symbols: below 1, negative, and twice above 1.

    Every symbol has its own, whatever else there is, so that names need no comparison.
    """
    import sympy as sp

    places = {}
    for symbol in value.free_symbols:
        number = zlib.crc32(f"{symbol}{point}".encode())
        small = sp.Rational(number % 9901 + 99, 10007)
        large = sp.Rational(number % 99991 + 20011, 10007)
        places[symbol] = (small, -small, large, large + 1)[point]
    return sp.N(value.doit().subs({**places, **(given or {})}), DIGITS + 15)


def _digits(number: Any) -> str | None:
    import sympy as sp

    if not number.is_number or number.has(sp.nan, sp.zoo, sp.oo):
        return None
    noise = abs(number) * 10 ** -(DIGITS + 5)
    parts = [0 if abs(part) <= noise else sp.N(part, DIGITS) for part in number.as_real_imag()]
    return ",".join(map(str, parts))
