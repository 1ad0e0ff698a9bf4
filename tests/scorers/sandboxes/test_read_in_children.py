"""The functions that child processes call, called here: what they say of each text."""

from __future__ import annotations

import pytest

from nbest.orchestrator.errors import InputError
from nbest.scorers.equivalence.sql_result import result_key
from nbest.scorers.sandboxes.child import _function, _outcome
from nbest.scorers.sandboxes.math_keys import key_of, warm_up
from nbest.scorers.sandboxes.sql import Dialect, SqlFailure, database_of, is_query
from nbest.scorers.validators.sql import is_valid
from nbest.scorers.validators.yaml import is_yaml

TABLES = "CREATE TABLE t (x INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')"
DIALECTS: tuple[Dialect, ...] = ("sqlite", "duckdb")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_database_answers_queries_and_nothing_else(dialect: Dialect) -> None:
    database = database_of(dialect, TABLES)
    assert database.result("SELECT x FROM t ORDER BY x", 10).rows == [(1,), (2,)]
    assert len(database.result("SELECT x FROM t", 0).rows) == 1  # one more than the limit
    for refused in ("SELECT nothing FROM t", "SELEC", "SELECT * FROM range(3) r, nowhere"):
        with pytest.raises(SqlFailure):
            database.result(refused, 10)
    assert database_of(dialect, TABLES) is database  # kept for the next query


def test_sqlite_changes_nothing_after_its_schema_and_ends() -> None:
    database = database_of("sqlite", TABLES)
    for refused in ("DELETE FROM t", "ATTACH ':memory:' AS a", "PRAGMA user_version = 1"):
        with pytest.raises(SqlFailure, match="not authorized"):
            database.result(refused, 10)
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r"
    with pytest.raises(SqlFailure, match="interrupted"):
        database.result(endless, 10)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_that_fails_is_wrong_input(dialect: Dialect) -> None:
    with pytest.raises(InputError, match="schema must be statements that can be executed"):
        database_of(dialect, "CREATE TABLE t (x INTEGER); ATTACH 'nowhere/x' AS a")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_queries_with_one_result_have_one_key(dialect: Dialect) -> None:
    one = result_key("SELECT x FROM t", dialect, TABLES)
    assert one == result_key("SELECT x FROM t WHERE x > 0", dialect, TABLES)
    assert one != result_key("SELECT x FROM t ORDER BY x", dialect, TABLES)
    assert one != result_key("SELECT name FROM t", dialect, TABLES)
    for text in ("DROP TABLE t", "SELECT nothing", "no query", "SELECT 1; SELECT 2"):
        assert result_key(text, dialect, TABLES) is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_valid_queries_pass_the_check(dialect: Dialect) -> None:
    for check in ("parse", "explain", "execute"):
        assert is_valid("SELECT x FROM t", dialect, TABLES, check)
        assert not is_valid("DELETE FROM t", dialect, TABLES, check)
    assert is_valid("SELECT nothing FROM t", dialect, TABLES, "parse")
    assert not is_valid("SELECT nothing FROM t", dialect, TABLES, "explain")
    assert not is_query("SELECT 1" + " " * 100_001, dialect)


def test_yaml_is_read_carefully() -> None:
    assert is_yaml("x: [1, {y: 2020-01-01}]", None)
    assert is_yaml("x: 2020-01-01", '{"properties": {"x": {"type": "string"}}}')
    assert not is_yaml("x: a", '{"properties": {"x": {"type": "integer"}}}')
    for text in ("x: 1\nx: 2", "a: &b 1\nc: *b", "!!python/name:os.system x", "[", "? [1]\n: 2"):
        assert not is_yaml(text, None)
    assert not is_yaml("x" * 1_000_001, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{1}{2}", "0.5"),
        (r"\sqrt{8}", r"2\sqrt{2}"),
        (r"\{1, 2\}", r"\{2, 1\}"),
        ("[1, 2)", "[1, 2)"),
        ("(1, 2, 3)", "(1, 2, 3)"),
        (r"[0, 1) \cup (2, 3]", r"(2, 3] \cup [0, 1)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        ("2x + y = 3", "4x + 2y = 6"),
        ("x > 3", "3 < x"),
        (r"\sin^2 x + \cos^2 x", "1"),
        ("x - x", "0"),
        ("2 + 3i", "3i + 2"),
    ],
)
def test_equal_mathematics_has_one_key(one: str, other: str) -> None:
    warm_up()
    assert key_of(one) == key_of(other) is not None


def test_different_mathematics_has_different_keys() -> None:
    keys = [key_of(text) for text in ("1", "x", "x + 1", "x = 1", "x > 1", r"\{1\}", "[1, 2]")]
    assert len(set(keys)) == len(keys)


def test_an_outcome_is_a_value_wrong_input_or_a_failure() -> None:
    assert _outcome(_function, ["nbest.scorers.structured.json_schema:is_json"])["value"]("1")
    assert "ModuleNotFoundError" in _outcome(_function, ["no.such:thing"])["failure"]

    def refuses() -> None:
        raise InputError("no")

    assert _outcome(refuses, []) == {"wrong_input": "no"}
