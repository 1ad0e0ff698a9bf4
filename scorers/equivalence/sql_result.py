"""Queries that mean the same: those with the same result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from nbest.orchestrator.types import Query, require
from nbest.scorers.equivalence.plain import groups_of
from nbest.scorers.sandboxes.processes import read_texts
from nbest.scorers.sandboxes.sql import (
    TIMEOUT_S,
    Dialect,
    Row,
    SqlFailure,
    check_schema,
    database_of,
    is_query,
)

MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlResultEquivalence:
    """Queries whose results are equal on a database in memory that `schema` makes and fills.

    With `MajorityVote` this is the vote by execution (Shi et al. 2022, arXiv 2204.11454, MBR-exec).
    Results are compared row by row; where a query has no ORDER BY of its own, the rows may come in
    any order, and one that has it is another query. Names of columns do not count. A query that
    fails, changes something, or has more than 10,000 rows means nothing but itself.

    Example: `SqlResultEquivalence(schema="CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1)")`
    """

    schema: str
    dialect: Dialect = "sqlite"

    def __post_init__(self) -> None:
        is_known = self.dialect in ("sqlite", "duckdb")
        require(is_known, "dialect", "be sqlite or duckdb", self.dialect)
        check_schema(self.dialect, self.schema)

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        results = await read_texts(TIMEOUT_S, result_key, answers, self.dialect, self.schema)
        return groups_of(answers, results.__getitem__)


def result_key(sql: str, dialect: Dialect, schema: str) -> str | None:
    """A key of the result of a query: equal results, equal keys; None where it has none.

    It is called in a child process.
    """
    if not is_query(sql, dialect):
        return None
    try:
        rows = database_of(dialect, schema).rows(sql, MAX_ROWS)
    except SqlFailure:
        return None
    if len(rows) > MAX_ROWS:
        return None
    texts = [_row_text(row) for row in rows]
    has_order = len(rows) > 1 and is_ordered(sql, dialect)
    content = repr((has_order, texts if has_order else sorted(texts)))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def is_ordered(sql: str, dialect: Dialect) -> bool:
    """Whether the query as a whole, and not a part of it alone, has an ORDER BY."""
    import sqlglot

    statement = sqlglot.parse_one(sql, read=dialect)
    return statement.args.get("order") is not None


def _row_text(row: Row) -> str:
    """Equal text for equal rows: 1 and 1.0 are one value, 1 and '1' are two."""
    return repr(tuple(_plain(value) for value in row))


def _plain(value: object) -> object:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if is_number and float(value) == value else value  # type: ignore[arg-type] # it is one
