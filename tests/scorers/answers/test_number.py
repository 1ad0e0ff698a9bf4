"""One spelling for each value, and which values are read at all."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest import LastNumber, canonical_number
from nbest.scorers.answers.number import _ANYWHERE, MAX_CHARS, _last_before, _spelling
from nbest.scorers.answers.regex import last_match

FRACTIONS = st.fractions(max_denominator=10_000)
DECIMALS = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000", "1000"),
        ("1000.0", "1000"),
        ("1e3", "1000"),
        ("1,234,567.80", "1234567.8"),
        ("10{,}000", "10000"),
        (r"10\,000", "10000"),
        (r"10,\!000", "10000"),
        ("-5", "-5"),
        ("+5", "5"),
        ("\u22125", "-5"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("007", "7"),
        (".5", "0.5"),
        ("-.50", "-0.5"),
        ("5.", "5"),
        ("1.5E-4", "0.00015"),
        (r"6.02 \times 10^{3}", "6020"),
        ("3 x 10^-2", "0.03"),
        ("1/2", "0.5"),
        ("2/6", "1/3"),
        ("-3 / 4", "-0.75"),
        ("0/5", "0"),
        ("1/1,000", "0.001"),
        (r"\frac{1}{2}", "0.5"),
        (r"-\dfrac{2}{6}", "-1/3"),
        ("$1,234.50", "1234.5"),
        ("-$5", "-5"),
        (r"\$5", "5"),
        ("$12$", "12"),
        (r"\( 12 \)", "12"),
        ("50%", "50"),
        (r"50\%.", "50"),
        (" 7 \n", "7"),
        ("0.1000000000000000000000000000000000000001", "0.1" + "0" * 38 + "1"),
        ("5 km", None),
        ("1 1/2", "1.5"),
        ("2 3/2", None),  # mixed numbers have fractions below 1
        ("1/0", None),
        ("1/0.0", None),
        ("1,00", None),
        ("0,500", None),
        ("10-3", None),
        ("5e1000", None),
        ("nan", None),
        ("inf", None),
        ("\u0663", None),
        ("", None),
        ("9" * (MAX_CHARS + 1), None),
        ("1e600", None),
    ],
)
def test_spelling(text: str, expected: str | None) -> None:
    assert canonical_number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-5", "-5"),  # T19
        ("x=-5.", "-5"),
        ("so 10 - 3", "3"),
        ("so 10-3", "3"),
        ("f(2)-5", "5"),
        ("3--5", "5"),
        ("3 + 4 = 7.", "7"),
        ("from 1,2 or 3,4", None),  # two numbers, or four
        ("$1,234.50 in all", "1234.5"),
        ("about 3.14.", "3.14"),  # T28
        ("in fig.5", "5"),
        ("wait...5", "5"),
        ("it is 50%.", "50"),
        ("1 1/2", "1.5"),
        ("divide 1/0", None),
        ("on 3/4/2024", None),
        (r"so \frac{3}{4} of it", "0.75"),
        ("1\n/2", None),
        ("7 " + "9" * (MAX_CHARS + 1), None),
        ("none", None),
        ("", None),
    ],
)
def test_last_number(text: str, expected: str | None) -> None:
    assert LastNumber()(text) == expected


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["1\u202f234\u202f567", "1'234'567", "1\u2019234\u2019567", "1\u00a0234 567"], "1234567"),
        (["12,34,567", "1,234,567", "1.234.567", r"1\text{,}234\ 567", "1 234 567"], "1234567"),
        (["1.234,50", "1,234.5", "1 234.50", "1'234.5"], "1234.5"),
        (["\u20105", "\u20115", "\u20125", "\u20135", "\ufe635", "\uff0d5", "\uff0d\uff15"], "-5"),
        (["3 \u00d7 10\u2075", r"3 \cdot 10^5", "3\u22c510^{5}", "3\u00b710^5", "3e5"], "300000"),
        (["10^5", "10^{5}", "10**5", "10\u2075"], "100000"),
        (["10^{-3}", "10^-3", "10\u207b\u00b3", "1e-3"], "0.001"),
        (
            [r"\frac12", r"\frac 1 2", r"\tfrac{1}{2}", r"\frac{-1}{-2}", "\u00bd", "1\u20442"],
            "0.5",
        ),
        ([r"\frac{1}{-2}", r"\frac{-1}{2}", "-\u00bd", "\u22121/2"], "-0.5"),
        (["2\u00bd", "2 1/2", r"2\frac12", r"2 \frac{1}{2}", "2.5"], "2.5"),
        ([r"\text{13}", r"\textbf{13}", r"\mathbf{\text{13}}", "**13**", "\uff11\uff13"], "13"),
    ],
)
def test_one_value_in_all_its_spellings(texts: list[str], value: str) -> None:
    assert {text: canonical_number(text) for text in texts} == dict.fromkeys(texts, value)
    for text in texts:
        assert LastNumber()(f"It was 7, and now it is {text}") == value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It costs 3,50", None),  # 3.5, or 50
        ("so x^2", None),  # an exponent is no number
        ("so 2x^{10}", None),
        ("so 2^{2^{40}}", None),
        ("in base two 1011_2", None),
        ("it is x_1", None),
        ("it is 5^x", None),
        ("9^999", None),  # too long
        ("The area is 5 cm^2.", "5"),  # the exponent of a unit is part of the unit
        ("5 m^2, or 7 km\u00b2", "7"),
        ("an angle of 30^\\circ", "30"),
        ("the 5^{th}", "5"),
        ("log_2 8 = 3", "3"),
        ("in 2024 100 people", "100"),  # a year groups nothing
        ("of 1, 2 100", "100"),
        ("points 1,2,3", None),
        ("from 3\u20135", "5"),  # a range, no sign
        ("10 000 people", "10000"),
        ("**5**", "5"),
    ],
)
def test_a_number_that_stands_in_something_else_is_not_the_answer(
    text: str, number: str | None
) -> None:
    assert LastNumber()(text) == number


@given(FRACTIONS)
def test_the_value_is_kept(value: Fraction) -> None:
    spelling = canonical_number(str(value))
    assert spelling is not None
    assert Fraction(spelling) == value
    assert canonical_number(spelling) == spelling


@given(FRACTIONS, st.integers(1, 1000))
def test_equal_values_are_spelled_alike(value: Fraction, times: int) -> None:
    expanded = f"{value.numerator * times}/{value.denominator * times}"
    latex = rf"\frac{{{value.numerator * times}}}{{{value.denominator * times}}}"
    assert canonical_number(expanded) == canonical_number(str(value)) == canonical_number(latex)


@given(DECIMALS)
def test_every_way_to_write_a_decimal(value: st.SearchStrategy[object]) -> None:
    spellings = {canonical_number(f"{value:{style}}") for style in ("f", ",f", "e", "+f")}
    assert len(spellings) == 1
    assert Fraction(spellings.pop() or "nan") == Fraction(str(value))


@given(st.integers(), st.sampled_from(["{} apples", "I get {}.", "${:,}!", "= **{}**", "({})"]))
def test_a_number_is_found_in_its_sentence(number: int, sentence: str) -> None:
    assert LastNumber()("First 1, then 2.5; " + sentence.format(number)) == str(number)


@given(st.text(alphabet="012.,-$/ \n\\{}()fracx*^e+a", max_size=40))
def test_the_last_number_is_the_one_that_reading_the_whole_text_finds(text: str) -> None:
    match = last_match(_ANYWHERE, text)
    plain = None if match is None else (match.start(), match.end(), _spelling(match))
    assert _last_before(text, len(text)) == plain


@pytest.mark.parametrize(
    "text",
    [
        *(
            r"\frac {3} {x}",
            r"\cfrac{3}{4}",
            r"\frac{\text{3}}{4}",
            "(1)/(2)",
            "3 \u00f7 4",
            "1/2/3",
        ),
        *(
            r"\frac{10^5}{2}",
            "4^0.5",
            "10<sup>5</sup>",
            "2^{x+1}",
            "4^(1/2)",
            "1,5 \u00d7 10\u00b3",
        ),
        *("1,5/2", "(-1)^{n}", "1011\u2082", r"\sqrt[3]{8}", r"2\sqrt{3}", "\u03c0/4", "3\u03c0"),
        *(r"\frac{\sqrt{3}}{2}", r"\frac{1}{2}\pi", "3/4x", "2a", "3{,}14", "1,234,5", "1,000,00"),
        *("1.5,000", "0.123,45", "1.000,000.5", "1.234,56.78", "192.168.1.1", "1,,000"),
        *("minus 5", "negative 5", "-(5)", r"-\text{5}", "H2", "fig2", "GPT4"),
    ],
)
def test_a_part_of_a_value_is_not_the_value(text: str) -> None:
    assert LastNumber()(text) is None


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["3 X 10^5", "3 \u2715 10^5", "3\u221910^5", "3 times 10^5", "3 x 10^ 5"], "300000"),
        (["10^(5)", "10^{ 5 }", "10^5"], "100000"),
        (["1 234,50", "1\u202f234,50", "1'234,50"], "1234.5"),
        ([r"10\!000", r"10\,\!000", r"10\thinspace 000", "10&nbsp;000", "10\u066c000"], "10000"),
        (["-\u20b95", "-Rs 5", "-USD 5", "\u207b5"], "-5"),
        (["5km", "the 5th", "5%", "costs $5/day", "it is 5!"], "5"),
    ],
)
def test_more_spellings_of_one_value(texts: list[str], value: str) -> None:
    assert {text: LastNumber()(text) for text in texts} == dict.fromkeys(texts, value)
