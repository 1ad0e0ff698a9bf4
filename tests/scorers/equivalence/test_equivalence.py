"""Which answers mean the same, and that nothing else does."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbest import MajorityVote
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.protocols import Equivalence
from nbest.orchestrator.query.selection import merge_answers, select
from nbest.orchestrator.types import Candidates, Query, Sample
from nbest.scorers.equivalence.math_parts import AnswerParts, parts_of
from nbest.scorers.equivalence.math_text import tidied, words_of
from nbest.scorers.equivalence.mathematics import MathEquivalence
from nbest.scorers.equivalence.plain import ChoiceEquivalence, JsonEquivalence, NumberEquivalence
from nbest.scorers.equivalence.sql_result import SqlResultEquivalence
from nbest.scorers.sandboxes.processes import reading_processes

QUERY = Query(id="q", prompt="?")
TABLES = (
    "CREATE TABLE t (id INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c');"
)
HOSTILE = ("", "\0", "\ud800", "(" * 5000, "9" * 5000, "{" * 300, "\\frac" * 60, "^" * 50, "$" * 9)


def pool(*answers: str | None) -> Candidates:
    samples = tuple(Sample(id=f"s{i}", text=a or "") for i, a in enumerate(answers))
    return Candidates(samples=samples, answers=answers)


async def same(equivalence: Equivalence, one: str, two: str) -> bool:
    first, second = await equivalence(QUERY, [one, two])
    assert [first, second] == list(await equivalence(QUERY, [one, two]))
    return first == second


async def vote(equivalence: Equivalence, *answers: str | None) -> str | None:
    merged = await merge_answers(QUERY, pool(*answers), equivalence)
    return (await select(QUERY, merged, MajorityVote())).answer


@pytest.fixture(scope="module")
def mathematics() -> MathEquivalence:
    pytest.importorskip("math_verify")
    return MathEquivalence()


# Numbers, letters, JSON


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        ("1,000", "1000.0", True),
        ("1/2", "0.5", True),
        ("$5", "5", True),
        ("-5", "5", False),
        ("4", "42", False),
        ("A", "A.", False),
        ("x", "y", False),
        ("0.333", "1/3", False),
    ],
)
async def test_numbers(one: str, two: str, is_same: bool) -> None:
    assert await same(NumberEquivalence(), one, two) == is_same


async def test_a_tolerance_joins_chains() -> None:
    near = NumberEquivalence(tolerance=0.11)
    groups = await near(QUERY, ["1.0", "1.2", "1.1", "3", "x"])
    assert groups[0] == groups[1] == groups[2]
    assert len({groups[0], groups[3], groups[4]}) == 3


@pytest.mark.parametrize(
    ("tolerance", "two"), [(0.7, "0.7"), (0.15, "0.15"), (0.3, "3/10"), (1e-3, "0.001")]
)
async def test_a_tolerance_is_the_number_that_is_written(tolerance: float, two: str) -> None:
    near = NumberEquivalence(tolerance=tolerance)
    assert await same(near, "0", two)
    assert not await same(near, "0", f"{tolerance:.3f}1")


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        ("(b)", "B", True),
        ("The answer is B.", "b.", True),
        ("A", "B", False),
        ("none", "no", False),
    ],
)
async def test_choices(one: str, two: str, is_same: bool) -> None:
    assert await same(ChoiceEquivalence(), one, two) == is_same


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        ('{"a": 1, "b": 2}', '{ "b":2.0,"a":1 }', True),
        ("[1, 2]", "[2, 1]", False),
        ('{"a": 1}', '{"a": "1"}', False),
        ('{"a": 1}', '{"a": 1, "b": 1}', False),
        ('{"a": 1, "a": 2}', '{"a": 2}', False),
        ("true", "1", False),
        ("NaN", "NaN ", False),
        ("1e400", "1e401", False),
        ("1e400", "10e399", True),
        ("12345678901234567890123", "12345678901234567890123.0", True),
        ("12345678901234567890123", "12345678901234567890124", False),
        ("0.1", "0.10000000000000000001", False),
        ("-0.0", "0", True),
        ("100", "1E+2", True),
        ('"1"', "1", False),
        ('"1e0"', "1", False),
        ("{", "{ ", False),
    ],
)
async def test_json(one: str, two: str, is_same: bool) -> None:
    assert await same(JsonEquivalence(), one, two) == is_same


# Mathematics

EQUAL = [
    ("1/2", r"\frac{1}{2}"),
    (r"\frac12", "0.5"),
    (r"\dfrac{2}{4}", r"\tfrac{1}{2}"),
    ("$5$", "5"),
    (r"\(5\)", "5."),
    (r"\sqrt{8}", r"2\sqrt{2}"),
    ("(x+1)^2", "x^2+2x+1"),
    (r"\frac{3x+1}{2}", "(3x+1)/2"),
    ("x=5", "5"),
    (r"\text{Red}", "red"),
    ("3<x", "x>3"),
    ("2x>6", "x>3"),
    ("2x+2=0", "x+1=0"),
    ("pi", r"\pi"),
    (r"\frac{\pi}{2}", r"0.5\pi"),
    (r"5\text{ cm}", "5"),
    (r"90^\circ", "90"),
    (r"\{1, 2\}", r"\{2,1\}"),
    (r"\left(3,\frac{\pi}{2}\right)", r"(3,\frac{\pi}{2})"),
    ("10^{2}", "100"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1&\frac{4}{2}\end{pmatrix}"),
    ("1 1/2", r"1\frac{1}{2}"),
    (r"-3\frac{1}{2}", "-3.5"),
    (r"1\,000", "1000"),
    (r"50\%", "50"),
    (r"\text{No}", "no"),
    ("5 apples", "5"),
    (r"24\pi\text{ cm}^2", r"24\pi"),
    ("sqrt(2)", r"\sqrt{2}"),
    ("sin(x)", r"\sin x"),
    ("x**10", "x^{10}"),
    ("10^-3", "0.001"),
    (r"\log_2 8", "3"),
    (r"\sin^2 x+\cos^2 x", "1"),
    (r"(1+\sqrt{5})(1-\sqrt{5})", "-4"),
    (r"\sqrt{2}\pi-\pi\sqrt{2}", "0"),
    ("(1+i)^2", "2i"),
    (r"3\pm 2", "1, 5"),
    (r"x=1 \text{ or } x=2", "1,2"),
    ("a=1,b=2", "b=2,a=1"),
    (r"x\in[1,2]", "[1,2]"),
]
DIFFERENT = [
    (r"\left(3,\frac{\pi}{2}\right)", "3"),
    ("(1,2)", r"\{1,2\}"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("[0,1)", "(0,1)"),
    ("x>3", r"x\ge 3"),
    ("x>3", "x<3"),
    ("x+1", "y+1"),
    ("3.1415926536", r"\pi"),
    ("0.333", "1/3"),
    ("142", "42"),
    ("apple", "appel"),
    (r"\text{red}", r"\text{blue}"),
    (r"\infty", r"-\infty"),
    (r"\sqrt{2}", "1.41421356"),
    ("-5", "5"),
    ("A", "B"),
    ("A", "a"),
    ("2R", "2r"),
    ("AB", "BA"),
    ("no", "on"),
    ("|x|", "x"),
    (r"\sqrt{x^2}", "x"),
    ("x=2", "y=2"),
    ("a=1,b=2", "a=2,b=1"),
    (r"5\text{ cm}", r"5\text{ m}"),
    ("5 apples", "5 oranges"),
    (r"9\text{ cm}^2", r"9\text{ cm}^3"),
    (r"2\text{ hours }30\text{ minutes}", "2"),
    ("12 or 13", "12"),
    ("1 1/2", "1"),
    ("1 2", "3"),
    (r"1\,000", "0"),
    ("5 $ 6", "5"),
    (r"11_2", "11"),
    (r"11_2", "11_3"),
    (r"1,2,\ldots,10", "1,2,10"),
    (r"1+\ldots+5", "6"),
    ("5!!", "120!"),
    ("5'", "5"),
    ("6:30", "1/5"),
    ("12/25/2020", "3/12625"),
    (r"\sin 30^\circ + 1", r"\sin 30 + 1"),
    (r"\frac{1}{0}", r"\frac{2}{0}"),
    (r"\pi 10^{-40}", r"2\pi 10^{-40}"),
]


@pytest.mark.parametrize(("one", "two"), EQUAL)
async def test_the_same_mathematics(mathematics: MathEquivalence, one: str, two: str) -> None:
    assert await same(mathematics, one, two)


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
async def test_other_mathematics(mathematics: MathEquivalence, one: str, two: str) -> None:
    assert not await same(mathematics, one, two)


async def test_names_and_units_count_only_where_there_are_several(
    mathematics: MathEquivalence,
) -> None:
    one_name = await mathematics(QUERY, ["x=2", "2", "x = 2 cm", "2 cm", "3"])
    assert len(set(one_name)) == 2
    x, y, bare, x_again = await mathematics(QUERY, ["x=2", "y=2", "2", "x=4/2"])
    assert x == x_again
    assert len({x, y, bare}) == 3
    cm, metre, bare, other = await mathematics(QUERY, ["2 cm", "2 metres", "2", "x=3 cm"])
    assert len({cm, metre, bare, other}) == 4


async def test_equal_votes_are_counted_together(mathematics: MathEquivalence) -> None:
    answers = [r"\frac{1}{2}", r"\frac{2}{4}", "3/6", "7", "7"]
    assert await vote(mathematics, *answers) == "3/6"
    assert await vote(mathematics, r"\sqrt{8}", r"2\sqrt{2}", "7") == r"\sqrt{8}"


def test_it_is_the_same_in_a_thread(mathematics: MathEquivalence) -> None:
    """No signal, which only a main thread could get; and another event loop each time."""
    answers = [r"\frac{x}{2}", r"\frac{2x}{4}", r"\frac{3x}{6}", "7", "7"]
    answers_found: list[str | None] = []

    def in_thread() -> None:
        answers_found.append(asyncio.run(vote(mathematics, *answers)))
        answers_found.append(asyncio.run(vote(MathEquivalence(), *answers)))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert answers_found == [r"\frac{x}{2}"] * 2 == [asyncio.run(vote(mathematics, *answers))] * 2


async def test_an_answer_that_takes_for_ever_is_killed_and_costs_nobody_else() -> None:
    quick = MathEquivalence(timeout_s=1.0)
    towers = ["9^{9^{9^{9}}}", "9^{9^{9^{8}}}"]
    groups = await quick(QUERY, [*towers, r"\sqrt{8}", r"2\sqrt{2}"])
    assert groups[2] == groups[3]
    assert len({groups[0], groups[1], groups[2]}) == 3
    starts = reading_processes().starts
    assert await quick(QUERY, towers) == [0, 1]  # what ran out of time is not tried again
    assert reading_processes().starts == starts


@pytest.mark.parametrize(
    "equivalence",
    [
        NumberEquivalence(),
        ChoiceEquivalence(),
        JsonEquivalence(),
        SqlResultEquivalence(schema=TABLES),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_hostile_answers_are_alone(equivalence: Equivalence) -> None:
    assert len(set(await equivalence(QUERY, list(HOSTILE)))) == len(HOSTILE)


async def test_hostile_formulas_are_alone(mathematics: MathEquivalence) -> None:
    assert len(set(await mathematics(QUERY, list(HOSTILE)))) == len(HOSTILE)


@settings(max_examples=10, deadline=None)
@given(order=st.permutations([*(one for one, _ in EQUAL[:9]), *(two for _, two in EQUAL[:9])]))
async def test_the_order_of_the_answers_does_not_matter(
    mathematics: MathEquivalence, order: Sequence[str]
) -> None:
    distinct = list(dict.fromkeys(order))
    groups = dict(zip(distinct, await mathematics(QUERY, distinct), strict=True))
    straight = sorted(distinct)
    expected = dict(zip(straight, await mathematics(QUERY, straight), strict=True))
    for one, two in combinations(distinct, 2):
        assert (groups[one] == groups[two]) == (expected[one] == expected[two])


async def test_a_copy_in_another_process_knows_the_settings_and_nothing_else() -> None:
    original = MathEquivalence(timeout_s=3.0)
    await original(QUERY, [r"\sqrt{8}", "2"])
    copy = pickle.loads(pickle.dumps(original))
    assert copy == original
    assert repr(copy) == "MathEquivalence(timeout_s=3.0)"
    assert not copy._seen
    assert await same(copy, r"\sqrt{8}", r"2\sqrt{2}")


def test_what_is_layout_and_what_is_words() -> None:
    assert tidied(r"\left( \dfrac{1}{2}, 3 \right).") == r"( \frac{1}{2}, 3 )"
    assert words_of(r"\text{Two  cats}") == "two cats"
    assert words_of("the cat") == "the cat"
    assert words_of(r"\sqrt{2} + x") is None
    assert words_of(r"\pi") is None
    assert words_of("AB") == "AB"
    assert parts_of("x = 5 cm.") == AnswerParts("5", "x", "cm")
    assert parts_of(r"90^\circ") == AnswerParts("90", "", "degree")
    assert parts_of("x = 2x") == AnswerParts("x = 2x")


# Queries


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        ("SELECT id FROM t", "SELECT id FROM t ORDER BY id", False),  # one promises an order
        ("SELECT id FROM t WHERE id > 1", "SELECT id FROM t WHERE id >= 2", True),
        (
            "SELECT id FROM t",
            "SELECT DISTINCT id FROM t",
            False,
        ),  # rows count
        ("SELECT id FROM t ORDER BY id", "SELECT id FROM t ORDER BY id DESC", False),
        ("SELECT 1 AS a", "SELECT 1 AS b", True),
        ("SELECT 1", "SELECT 1.0", True),
        ("SELECT 1 ORDER BY 1", "SELECT 1", True),
        ("SELECT 1", "SELECT '1'", False),
        ("SELECT x FROM t", "SELECT y FROM t", False),  # both fail: nobody knows what they mean
        ("DROP TABLE t", "DELETE FROM t", False),
        ("SELECT NULL", "SELECT 'None'", False),
        ("SELECT 1; -- done", "SELECT 1", True),
        ("SELECT 1;;", "SELECT 1", True),
        ("SELECT 1; SELECT 1", "SELECT 1", False),
        ("SELECT 1.10", "SELECT 1.1", True),
        ("SELECT -0.0", "SELECT 0", True),
        ("SELECT 0.1 + 0.2", "SELECT 0.3", True),  # the last bit depends on the order of a sum
        ("SELECT 9007199254740993", "SELECT 9007199254740992", False),
        ("VALUES (1), (2)", "SELECT 1 UNION SELECT 2", True),
        ("(SELECT id FROM t)", "SELECT id FROM t ORDER BY id", False),
        ("SELECT name FROM t WHERE id > 9", "SELECT id, name FROM t WHERE id > 9", False),
        ("SELECT name FROM t WHERE id > 9", "SELECT name FROM t WHERE id > 99", True),
    ],
)
async def test_queries(dialect: str, one: str, two: str, is_same: bool) -> None:
    equivalence = SqlResultEquivalence(schema=TABLES, dialect=dialect)  # type: ignore[arg-type]
    assert await same(equivalence, one, two) == is_same


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("SELECT 1.5::DECIMAL(10, 2)", "SELECT 1.5::DOUBLE"),
        ("SELECT [1.10, 2]", "SELECT [1.1::DOUBLE, 2.0::DOUBLE]"),
        ("SELECT {'a': 1.0}", "SELECT {'a': 1}"),
        ("(SELECT id FROM t ORDER BY id)", "SELECT id FROM t ORDER BY id"),  # no SQLite
    ],
)
async def test_equal_numbers_of_two_types_are_one_value(one: str, two: str) -> None:
    assert await same(SqlResultEquivalence(schema=TABLES, dialect="duckdb"), one, two)


async def test_tables_that_a_query_makes_of_json() -> None:
    equivalence = SqlResultEquivalence(schema=TABLES)
    assert await same(
        equivalence, "SELECT value FROM json_each('[1, 2]')", "SELECT 1 UNION SELECT 2"
    )


async def test_a_text_means_itself_even_where_its_result_changes() -> None:
    equivalence = SqlResultEquivalence(schema=TABLES)
    assert await equivalence(QUERY, ["SELECT random()", "SELECT random()"]) == [0, 0]


async def test_the_vote_by_execution() -> None:
    equivalence = SqlResultEquivalence(schema=TABLES)
    chosen = await vote(
        equivalence,
        "SELECT name FROM t",
        "SELECT name FROM t",
        "SELECT name FROM t WHERE id = 2",
        "SELECT name FROM t WHERE id > 1",
        "SELECT name FROM t WHERE id <> 1",
    )
    assert chosen == "SELECT name FROM t WHERE id = 2"


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: NumberEquivalence(tolerance=-1), "tolerance must be at least 0, got -1"),
        (lambda: MathEquivalence(timeout_s=0), "timeout_s must be above 0, got 0"),
        (lambda: ChoiceEquivalence(letters="AA"), "letters must be distinct ASCII letters"),
        (lambda: SqlResultEquivalence(schema="CREATE"), "schema must be statements"),
    ],
)
def test_wrong_settings_are_refused(make: object, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        make()  # type: ignore[operator]


async def test_each_question_may_bring_its_tables() -> None:
    equivalence = SqlResultEquivalence()
    query = Query(id="q", prompt="?", meta={"schema": "CREATE TABLE u (y INTEGER)"})
    first, second = await equivalence(query, ["SELECT y FROM u", "SELECT u.y FROM u"])
    assert first == second
    with pytest.raises(InputError, match="must hold the schema as text"):
        await equivalence(Query(id="q", prompt="?"), ["SELECT 1"])


@pytest.mark.parametrize(
    ("one", "two", "as_sets"),
    [
        ("SELECT x FROM t", "SELECT x FROM t ORDER BY x DESC", True),
        ("SELECT x FROM t", "SELECT x FROM t UNION ALL SELECT x FROM t", True),
        ("SELECT x FROM t ORDER BY x", "SELECT x FROM t ORDER BY x DESC", True),
        ("SELECT x FROM t", "SELECT x + 1 FROM t", False),
    ],
)
async def test_as_sets_neither_order_nor_number_counts(one: str, two: str, as_sets: bool) -> None:
    tables = "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2)"
    for setting, same in ((False, False), (True, as_sets)):
        equivalence = SqlResultEquivalence(schema=tables, as_sets=setting)
        first, second = await equivalence(Query(id="q", prompt="?"), [one, two])
        assert (first == second) == same
