"""Queries that mean the same: those with the same result."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Query
from nbest.scorers.equivalence.plain import groups_of
from nbest.scorers.sandboxes.processes import read_texts
from nbest.scorers.sandboxes.sql import (
    TIMEOUT_S,
    Dialect,
    Row,
    SqlFailure,
    check_schema,
    database_of,
    is_ordered,
    is_query,
    schema_for,
)

MAX_ROWS = 10_000
DIGITS = 14  # of a float that is no whole number: those that every order of a sum agrees on


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlResultEquivalence:
    """Queries whose results are equal on a database in memory that `schema` makes and fills.

    With `MajorityVote` this is the vote by execution (Shi et al. 2022, arXiv 2204.11454, MBR-exec).
    Results are compared row by row; where a query has no ORDER BY of its own, the rows may come in
    any order, and one that has it is another query. Names of columns do not count. A query that
    fails, changes something, or has more than 10,000 rows means nothing but itself. Without
    `schema` each question brings its own in `meta[key]`. With `as_sets` neither the order nor the
    number of equal rows counts: execution accuracy as BIRD has it (Li et al. 2023, arXiv
    2305.03111).

    Example: `SqlResultEquivalence(schema="CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1)")`
    """

    schema: str | None = None
    key: str = "schema"
    dialect: Dialect = "sqlite"
    as_sets: bool = False

    def __post_init__(self) -> None:
        is_known = self.dialect in ("sqlite", "duckdb")
        require(is_known, "dialect", "be sqlite or duckdb", self.dialect)
        if self.schema is not None:
            check_schema(self.dialect, self.schema)

    async def __call__(self, query: Query, answers: Sequence[str]) -> Sequence[int]:
        schema = schema_for(query, self.schema, self.key)
        settings = (self.dialect, schema, self.as_sets)
        results = await read_texts(TIMEOUT_S, result_key, answers, *settings)
        return groups_of(answers, results.__getitem__)


def result_key(sql: str, dialect: Dialect, schema: str, as_sets: bool = False) -> str | None:
    """A key of the result of a query: equal results, equal keys; None where it has none.

    It is called in a child process.
    """
    if not is_query(sql, dialect):
        return None
    try:
        result = database_of(dialect, schema).result(sql, MAX_ROWS)
    except SqlFailure:
        return None
    if len(result.rows) > MAX_ROWS:
        return None
    texts = [_row_text(row) for row in result.rows]
    if as_sets:
        texts = sorted(set(texts))
    has_order = not as_sets and len(texts) > 1 and is_ordered(sql, dialect)
    content = repr((result.num_columns, has_order, texts if has_order else sorted(texts)))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _row_text(row: Row) -> str:
    """Equal text for equal rows: 1 and 1.0 are one value, 1 and '1' are two."""
    return repr(tuple(_plain(value) for value in row))


def _plain(value: object) -> object:
    """Numbers exactly, whatever their type: DECIMAL 1.10 is DOUBLE 1.1, and -0.0 is 0."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return float(value)
    return Fraction(_decimal_of(value) if isinstance(value, float) else value)


def _decimal_of(value: float) -> str:
    """The decimal that a float stands for; its last digits depend on the order of a sum."""
    return f"{value:.{DIGITS}g}" if not value.is_integer() else str(int(value))
