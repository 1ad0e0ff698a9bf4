"""Databases in memory that only answer queries: closed, filled from a schema, then closed further.

The queries come from a model, and the schema may stand in a run folder that somebody sent. Neither
the disk nor the network is within reach of either, and work and memory are bounded: SQLite's to the
step; DuckDB looks at the clock between chunks of rows, so one call of a function on one huge value
can take longer. So all of this runs in child processes that can be killed
(`nbest.scorers.sandboxes.processes`).
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Query
from nbest.scorers.sandboxes.processes import Unfinished, reading_processes

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Dialect = Literal["sqlite", "duckdb"]
Row = tuple[object, ...]

MAX_STEPS = 20_000_000  # of SQLite's virtual machine: about a second
MAX_SECONDS = 5.0  # of DuckDB, which counts no steps
MAX_VALUE_BYTES = 10_000_000
MEMORY_BYTES = 100_000_000
MEMORY = "256MB"
TIMEOUT_S = 30.0  # of a query, its database included, until its process is killed

_STEPS_A_CALL = 10_000
_PAGE_BYTES = 4096
_SHOWN = 200  # characters of a schema in an error
_MODULES = {"fts4", "fts5", "rtree"}  # virtual tables that touch nothing else
_TABLE_FUNCTIONS = ("json_each", "json_tree")  # tables that a query makes by naming them
_FILLING = {
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_ANALYZE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_TEMP_INDEX,
    sqlite3.SQLITE_CREATE_TEMP_TABLE,
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
    sqlite3.SQLITE_CREATE_TEMP_VIEW,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_CREATE_VTABLE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_TRIGGER,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_DROP_VTABLE,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_SAVEPOINT,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_UPDATE,
}
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_FUNCTION,
}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}


class SqlFailure(Exception):
    """The database refuses a statement, cannot execute it, or does not finish it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The first rows of a query's result."""

    rows: list[Row]
    num_columns: int


class Database(Protocol):
    """A database that answers queries, and changes no more."""

    def result(self, sql: str, limit: int) -> Result:
        """The result of a query, at most `limit` + 1 rows of it; or SqlFailure."""
        ...


@lru_cache(maxsize=2)
def database_of(dialect: Dialect, schema: str) -> Database:
    """A database in which the statements of `schema` have been executed; kept for more queries.

    InputError where they fail, or do what they must not: the schema is the user's.
    """
    return _sqlite(schema) if dialect == "sqlite" else _duckdb(schema)


def check_schema(dialect: Dialect, schema: str) -> None:
    """InputError where a database cannot be made from the schema, in a child process."""
    try:
        reading_processes().call_now(TIMEOUT_S, _try_schema, dialect, schema)
    except Unfinished as error:
        raise refused_schema(schema, error) from error


def schema_for(query: Query, schema: str | None, key: str) -> str:
    """The schema of a question: that of all of them, or its own in `meta[key]`."""
    own = query.meta.get(key) if schema is None else schema
    if not isinstance(own, str):
        raise InputError(f"meta[{key!r}] must hold the schema as text (dataset.meta), got {own!r}")
    return own


def _try_schema(dialect: Dialect, schema: str) -> None:
    database_of(dialect, schema)


def refused_schema(schema: str, error: Exception) -> InputError:
    why = " ".join(str(error).split())[:_SHOWN]
    shown = repr(schema if len(schema) <= _SHOWN else f"{schema[:_SHOWN]}...")
    return InputError(f"schema must be statements that can be executed ({why}), got {shown}")


@dataclass(frozen=True, slots=True)
class _Sqlite:
    connection: sqlite3.Connection

    def result(self, sql: str, limit: int) -> Result:
        steps = 0

        def is_over() -> bool:
            nonlocal steps
            steps += _STEPS_A_CALL
            return steps > MAX_STEPS

        self.connection.set_progress_handler(is_over, _STEPS_A_CALL)
        try:
            cursor = self.connection.execute(sql.rstrip("; \t\r\n"))
            return Result(cursor.fetchmany(limit + 1), len(cursor.description or ()))
        # A result that Python cannot decode is a ValueError, an integer too large an OverflowError.
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            raise SqlFailure(str(error)) from error


def _sqlite(schema: str) -> Database:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(f"PRAGMA max_page_count = {MEMORY_BYTES // _PAGE_BYTES}")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_fills)
    try:
        connection.executescript(schema)
        connection.set_authorizer(None)
        for name in _TABLE_FUNCTIONS:  # made once, which writes to the catalogue
            connection.execute(f"SELECT 1 FROM {name}('[]')")
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise refused_schema(schema, error) from error
    connection.set_authorizer(_reads_only)
    return _Sqlite(connection)


def _fills(action: int, first: str | None, second: str | None, *place: str | None) -> int:
    """What a schema may do: not attach (as VACUUM INTO does), configure, or load."""
    if action == sqlite3.SQLITE_CREATE_VTABLE and second not in _MODULES:
        return sqlite3.SQLITE_DENY
    is_allowed = action in _FILLING or _reads_only(action, first, second) == sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _reads_only(action: int, first: str | None, second: str | None, *place: str | None) -> int:
    is_forbidden = action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN
    is_allowed = action in _READING and not is_forbidden
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


@dataclass(frozen=True, slots=True)
class _DuckDB:
    connection: DuckDBPyConnection

    def result(self, sql: str, limit: int) -> Result:
        import duckdb

        alarm = threading.Timer(MAX_SECONDS, self.connection.interrupt)
        alarm.start()
        try:
            cursor = self.connection.execute(sql)
            return Result(cursor.fetchmany(limit + 1), len(cursor.description or ()))
        except (duckdb.Error, ValueError, OverflowError, MemoryError) as error:
            raise SqlFailure(str(error)) from error
        finally:
            alarm.cancel()


def _duckdb(schema: str) -> Database:
    try:
        import duckdb
    except ImportError as error:
        raise InputError("dialect duckdb needs a package: pip install 'nbest[sql]'") from error
    config: dict[str, str | bool | int | float | list[str]]
    config = {"enable_external_access": "false", "memory_limit": MEMORY, "threads": "1"}
    config |= {"temp_directory": "", "max_temp_directory_size": "0B"}
    config |= {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    connection = duckdb.connect(":memory:", config=config)
    try:
        connection.execute("SET lock_configuration = true")
        connection.execute(schema)
    except duckdb.Error as error:
        raise refused_schema(schema, error) from error
    return _DuckDB(connection)


MAX_CHARACTERS = 100_000


def is_query(sql: str, dialect: Dialect) -> bool:
    """Whether sqlglot reads one statement, a query that changes nothing. It raises on no text."""
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ImportError as error:
        raise InputError("sql needs a package: pip install 'nbest[sql]'") from error
    if len(sql) > MAX_CHARACTERS:
        return False
    try:
        statements = sqlglot.parse(sql, read=dialect)
    except (SqlglotError, RecursionError, ValueError):
        return False
    exp = sqlglot.exp
    # A comment after the last semicolon is read as one more of these.
    real = [s for s in statements if s is not None and not isinstance(s, exp.Semicolon)]
    kinds = (exp.Query, exp.Values)
    return len(real) == 1 and isinstance(_unwrapped(real[0]), kinds)


def is_ordered(sql: str, dialect: Dialect) -> bool:
    """Whether a query as a whole, and not a part of it alone, has an ORDER BY."""
    import sqlglot

    statement = sqlglot.parse(sql, read=dialect)[0]
    while statement is not None and statement.args.get("order") is None:
        if not isinstance(statement, sqlglot.exp.Subquery | sqlglot.exp.Paren):
            return False
        statement = statement.this
    return statement is not None


def _unwrapped(statement: Any) -> Any:
    """The statement without the brackets around all of it."""
    import sqlglot

    while isinstance(statement, sqlglot.exp.Subquery | sqlglot.exp.Paren):
        statement = statement.this
    return statement
