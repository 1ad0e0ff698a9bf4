r"""Mathematics as models write it: what is the same, and beside it the near miss that is not."""

from __future__ import annotations

import pytest

from nbest.orchestrator.types import Query
from nbest.scorers.equivalence.mathematics import MathEquivalence

pytest.importorskip("math_verify")

ROW = r"\begin{pmatrix} %s \end{pmatrix}"

SAME = [
    # Rows of matrices: the space after a row break is none of LaTeX's spaces.
    (ROW % r"-1 \\ 3", ROW % r"-1\\3"),
    (ROW % r"1 & 2 \\ 3 & 4", ROW % r"1&2\\ 3&\frac{8}{2}"),
    (ROW % "1 & 2" + "+" + ROW % "1 & 2", ROW % "2 & 4"),
    # Units from a list, and magnitudes that multiply.
    ("5 million", "5000000"),
    (r"5\text{ million}", r"5\,000\,000"),
    ("2.5 thousand dollars", "2500"),
    ("3 dozen", "36"),
    ("5 cm", "5"),
    ("12 square metres", "12"),
    (r"\frac{1}{3} \textbf{ meters}", "1/3"),
    (r"125\textnormal{ miles}", "125"),
    ("28 percent", r"28\%"),
    # Upright letters are themselves.
    (r"1+2\mathrm{i}", "1+2i"),
    (r"3\text{x}", "3x"),
    (r"2\mathrm{e}", "2e"),
    (r"\operatorname{sin} x", r"\sin x"),
    # Degrees.
    (r"\sin 30^\circ", r"\frac12"),
    (r"\sin(30^\circ)", r"\frac12"),
    ("\\cos 60\u00b0", "0.5"),
    (r"45^\circ", "45"),
    # Fonts and signs around all of it.
    (r"\text{13}", "13"),
    (r"\mathbf{\text{13}}", "13"),
    (r"\text{(A)}", "A"),
    (r"\textbf{(A)}", "(A)"),
    ("**13**", "13"),
    # Roots and logarithms of symbols, above zero.
    (r"\sqrt{1/n}", r"\frac{1}{\sqrt{n}}"),
    (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"),
    (r"\ln(x y)", r"\ln(y x)"),
    # Products of letters.
    ("3xyz", "3zyx"),
    ("xyz+1", "1+xyz"),
    ("xy", r"x\cdot y"),
    # Braces and spaces in what no parser reads.
    ("1011_2", "1011_{2}"),
    ("7 : 32", "7:32"),
    # Sets of numbers.
    (r"[0,1]", r"0\le x\le 1"),
    ("0<x<1", "1>x>0"),
    ("0<x<1", "(0,1)"),
    ("0<f(x)<1", "(0,1)"),
    ("x>3", r"(3,\infty)"),
    (r"\mathbb{R}", r"(-\infty,\infty)"),
    (r"\varnothing", r"\emptyset"),
    # Labels, and chains of equations.
    ("1024", "2^{10}=1024"),
    ("x = 2 + 3 = 5", "5"),
    ("2n", "a_n = 2n"),
    ("f(x) = 2x", "2x"),
    ("x=5", "5=x"),
    ("2x+4y-3=0", r"y=-\frac{1}{2}x+\frac{3}{4}"),
    ("(p,q)=(3,2)", "(3,2)"),
    ("AB=4,CD=5", "4, 5"),
    ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
    (r"x = -5,\ y = \frac{14}{3}", r"-5, \frac{14}{3}"),
    ("(1,2)", "x=1, y=2"),
    ("5%", "5 percent"),
    (r"1+5\%", "1.05"),
    (r"\sqrt{x^2+1}+|x|", r"|x|+\sqrt{1+x^2}"),
    ("V_{1}:V_{2}=11:21", "11:21"),
    ("|AB|=1", "1"),
    ("143, 143, 143", "143"),
    # Repeating decimals.
    (r"0.\overline{3}", "1/3"),
    ("0.(3)", "1/3"),
    ("-1.(09)", r"-\frac{12}{11}"),
    ("12.(6)", "38/3"),
    ("e^-x", "e^{-x}"),
    ("2^-n", r"\frac{1}{2^n}"),
    ("x + y^-k", "y^{-k} + x"),
    (r"0.1\overline{6}", r"\frac16"),
    (r"-1.\overline{09}", r"-\frac{12}{11}"),
    # Lists in words.
    (r"19, 46, \text{ and } 82", "19, 46, and 82"),
    ("19 and 46", "19, 46"),
    (r"1 \text{ or } 2", "1 or 2"),
    # One spelling of characters.
    ("-8/3", "\u22122 2/3"),
    (r"\sqrt{2}", "\u221a2"),
    (r"\sqrt{x+1}", "\u221a(x+1)"),
    (r"\infty", "\u221e"),
    ("8", "2\u00b3"),
    ("10000", "10\u202f000"),
    ("1234", r"1\text{,}234"),
    ("10000", r"10\ 000"),
    (r"11,\! 111,\! 100", "11111100"),
    ("-5", "\u20115"),
    ("0.5", "\u00bd"),
    (r"3 \times 4", "3 \u00d7 4"),
    ("1000,99", "1000.99"),
]

APART = [
    (ROW % r"2 \\ 3", ROW % r"3 \\ 2"),
    (ROW % r"1 \\ -2", ROW % r"2 \\ -3"),
    (ROW % r"1 \\ 2", ROW % r"1 & 2"),
    ("5 million", "5"),
    ("5 million", "5 thousand"),
    ("3 quarters", "3"),
    ("5 minus x", "5"),
    ("5 factorial", "5"),
    ("5 remainder two", "5"),
    (r"3\text{ or less}", "3"),
    ("3 exp x", "3"),
    ("5 halves", "5"),
    ("5 plus", "5"),
    (r"1+2\mathrm{i}", "3"),
    (r"2\mathrm{e}", "2"),
    (r"3\text{x}", "3"),
    (r"\sin 30^\circ", r"\sin 30"),
    (r"\cos 60^\circ", r"\cos 60"),
    (r"5\text{ m}", r"5\text{ ms}"),
    (r"5\text{ MW}", r"5\text{ mW}"),
    (r"\sqrt{10^{60}+1}", "10^{30}"),
    (r"e^{\pi\sqrt{163}}", "262537412640768744"),
    (r"\text{(A)}", "B"),
    (r"\text{13}", "31"),
    (r"\sqrt{x^2}", "x"),
    (r"\sqrt{x}", r"\sqrt{-x}"),
    ("xyz", "xyy"),
    ("1011_2", "1011_3"),
    ("[0,1]", "0<x<1"),
    ("0<x<1", "0<x<2"),
    ("x>3", r"[3,\infty)"),
    (r"\mathbb{R}", r"(0,\infty)"),
    (r"\emptyset", r"\{0\}"),
    ("2^{10}=1024", "1023"),
    ("7 = 11a+c", "11a+c"),
    ("x=5", "6=x"),
    ("2x+4y-3=0", r"y=-\frac{1}{2}x+\frac{1}{4}"),
    ("(p,q)=(3,2)", "(2,3)"),
    ("p=5,q=2;p=7,q=2", "(2,5),(2,7)"),
    ("143, 142", "143"),
    (r"0.\overline{3}", "0.3"),
    ("0.(3)", "0.3"),
    ("0.(3)", "0"),
    ("0.5(3)", "0.5333"),
    ("e^-x", "e^x"),
    ("e^-x", "e^{-1}x"),
    ("e^-xy", "e^{-x}y"),
    ("2^-n", "2^{-1}n"),
    (r"0.\overline{3}", "0.33333"),
    ("19 and 46", "19"),
    ("2\u00b3", "23"),
    ("\u221a2", "2"),
    ("1,5", "1.5"),  # a list of two, or a number
    # Sequences of capitals do not commute.
    ("HHT", "THH"),
    (r"\text{HT}", r"\text{TH}"),
    ("PQR", "RQP"),
    ("XX", "X^2"),
    # A percent sign within a formula is a hundredth.
    ("1+5%", "6"),
    (r"100(1+5\%)", "600"),
    (r"20\%x", "20x"),
    ("5%", "5 km"),
    ("$5", "5 cents"),
    # What a condition is about, and how two are joined.
    ("x>0, y<0", "x<0, y>0"),
    ("x>1 and y>2", "x>2 and y>1"),
    ("x<1 and x>3", "x<1 or x>3"),
    # Values with names have an order.
    ("x=1,y=2", "2,1"),
    ("x=1,y=2,z=3", "3,2,1"),
    # Roots of symbols: equal only where all of it is.
    (r"\sqrt{(x-1)^2}", "1-x"),
    (r"\sqrt{x^2-4x+4}+\sqrt{x^2+1}", r"2-x+\sqrt{x^2+1}"),
    (r"|x|+\sqrt{x^2+1}", r"x+\sqrt{x^2+1}"),
    (r"\ln(x^2)", r"2\ln x"),
    # Twenty digits are not enough.
    (r"\sqrt{10^{60}+1}", r"\sqrt{10^{60}+2}"),
    (r"10^{25}+\sqrt2", r"10^{25}+\sqrt3"),
    ("e^{100}+1", "e^{100}"),
    ("x+10^{-40}", "x"),
    # A unit within a function, an upright letter that is none, a sign that no parser knows.
    (r"\sin 30\text{ degrees}", r"\sin 30"),
    (r"x^2\text{t}", "x^2"),
    (r"2\text{t}", "2"),
    ("f\u2218g", "g\u2218f"),
    ("a\u2248b", "a=b"),
    ("f(x+1)", "xf+f"),
]


@pytest.fixture(scope="module")
def mathematics() -> MathEquivalence:
    return MathEquivalence(timeout_s=20.0)


async def are_same(mathematics: MathEquivalence, one: str, two: str) -> bool:
    first, second = await mathematics(Query(id="q", prompt="?"), [one, two])
    return first == second


@pytest.mark.parametrize(("one", "two"), SAME)
async def test_two_spellings_of_one_answer(
    mathematics: MathEquivalence, one: str, two: str
) -> None:
    assert await are_same(mathematics, one, two)
    assert await are_same(mathematics, two, one)


@pytest.mark.parametrize(("one", "two"), APART)
async def test_a_near_miss_is_another_answer(
    mathematics: MathEquivalence, one: str, two: str
) -> None:
    assert not await are_same(mathematics, one, two)
    assert not await are_same(mathematics, two, one)
