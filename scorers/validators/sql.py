"""SQL that can be parsed, planned or executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.sandboxes.processes import read_texts
from nbest.scorers.sandboxes.sql import (
    TIMEOUT_S,
    Dialect,
    SqlFailure,
    check_schema,
    database_of,
    is_query,
    schema_for,
)
from nbest.scorers.structured.reasons import line_of
from nbest.scorers.validators.rules import Flags, Of, flags_in_children

Check = Literal["parse", "explain", "execute"]

MAX_ROWS = 10_000  # that are fetched to see that a query can be executed


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlValid:
    """The answer is one query of that dialect.

    `parse` asks sqlglot, which accepts much that no database would: it is a sieve and no proof.
    `explain` has a database in memory plan it, with the tables that `schema` makes; `execute`
    executes it, too. Only queries are valid: nothing that changes, attaches or configures. With
    `key` each question brings its own schema in `meta[key]`.

    Example: `SqlValid(schema="CREATE TABLE t (id INTEGER, name TEXT)", check="explain")`
    """

    schema: str = ""
    key: str | None = None
    dialect: Dialect = "sqlite"
    check: Check = "explain"
    of: Of = "answer"

    def __post_init__(self) -> None:
        require(
            self.dialect in ("sqlite", "duckdb"), "dialect", "be sqlite or duckdb", self.dialect
        )
        checks = ("parse", "explain", "execute")
        require(self.check in checks, "check", f"be one of {', '.join(checks)}", self.check)
        is_one = self.key is None or not self.schema
        require(is_one, "key", "be left out where schema is given", self.key)
        check_schema(self.dialect, self.schema)

    def _schema(self, query: Query) -> str:
        return self.schema if self.key is None else schema_for(query, None, self.key)

    async def why(self, query: Query, text: str) -> tuple[str, ...]:
        """Say that a text is no such query; () where it is."""
        settings = (self.dialect, self._schema(query), self.check)
        is_right = (await read_texts(TIMEOUT_S, is_valid, [text], *settings))[text]
        rule = f"must be a query that {self.dialect} can {self.check}"
        return () if is_right else (line_of("", rule, text),)

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        settings = (self.dialect, self._schema(query), self.check)
        return await flags_in_children(candidates, self.of, TIMEOUT_S, is_valid, *settings)


def is_valid(sql: str, dialect: Dialect, schema: str, check: Check) -> bool:
    """Whether a text is a query that passes the check; it is called in a child process."""
    if not is_query(sql, dialect):
        return False
    if check == "parse":
        return True
    try:
        database = database_of(dialect, schema)
        database.result(f"EXPLAIN {sql}" if check == "explain" else sql, MAX_ROWS)
    except SqlFailure:
        return False
    return True
