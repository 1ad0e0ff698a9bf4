"""SQL that can be parsed, planned or executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nbest.orchestrator.types import Candidates, Query, require
from nbest.scorers.sandboxes.sql import Database, Dialect, SqlFailure, is_query, open_database
from nbest.scorers.validators.rules import Flags, Of, valid_flags

Check = Literal["parse", "explain", "execute"]

MAX_ROWS = 10_000  # that are fetched to see that a query can be executed


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlValid:
    """The answer is one query of that dialect.

    `parse` asks sqlglot, which accepts much that no database would: it is a sieve and no proof.
    `explain` has a database in memory plan it, with the tables that `schema` makes; `execute`
    executes it, too. Only queries are valid: nothing that changes, attaches or configures.

    Example: `SqlValid(schema="CREATE TABLE t (id INTEGER, name TEXT)", check="explain")`
    """

    schema: str = ""
    dialect: Dialect = "sqlite"
    check: Check = "explain"
    of: Of = "answer"

    def __post_init__(self) -> None:
        require(
            self.dialect in ("sqlite", "duckdb"), "dialect", "be sqlite or duckdb", self.dialect
        )
        checks = ("parse", "explain", "execute")
        require(self.check in checks, "check", f"be one of {', '.join(checks)}", self.check)
        with open_database(self.dialect, self.schema):
            pass

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        with open_database(self.dialect, self.schema) as database:
            return valid_flags(candidates, self.of, lambda sql: self._is_valid(database, sql))

    def _is_valid(self, database: Database, sql: str) -> bool:
        if not is_query(sql, self.dialect):
            return False
        if self.check == "parse":
            return True
        try:
            database.rows(f"EXPLAIN {sql}" if self.check == "explain" else sql, MAX_ROWS)
        except SqlFailure:
            return False
        return True
