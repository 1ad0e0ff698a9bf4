"""Databases in memory that only answer queries: made from a schema, then closed to all else.

The queries come from a model. Neither the disk nor the network is within reach, and
work and memory are bounded: SQLite's to the step; DuckDB looks at the clock between chunks of rows,
so one call of a function on one huge value can take longer.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from nbest.orchestrator.errors import InputError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Dialect = Literal["sqlite", "duckdb"]
Row = tuple[object, ...]

MAX_STEPS = 20_000_000  # of SQLite's virtual machine: about a second
MAX_SECONDS = 5.0  # of DuckDB, which counts no steps
MAX_VALUE_BYTES = 10_000_000
MEMORY = "256MB"

_STEPS_A_CALL = 10_000
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_FUNCTION,
}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}


class SqlFailure(Exception):
    """The database refuses a statement, cannot execute it, or does not finish it."""


class Database(Protocol):
    """A database that answers queries."""

    def rows(self, sql: str, limit: int) -> list[Row]:
        """The first rows of a query, at most `limit` + 1 of them; or SqlFailure."""
        ...


@contextmanager
def open_database(dialect: Dialect, schema: str) -> Iterator[Database]:
    """A new database in which the statements of `schema` have been executed.

    InputError where they fail: the schema is the user's.
    """
    opened = _open_sqlite if dialect == "sqlite" else _open_duckdb
    with opened(schema) as database:
        yield database


def refused_schema(schema: str, error: Exception) -> InputError:
    why = " ".join(str(error).split())
    return InputError(f"schema must be statements that can be executed ({why}), got {schema!r}")


@dataclass(frozen=True, slots=True)
class _Sqlite:
    connection: sqlite3.Connection

    def rows(self, sql: str, limit: int) -> list[Row]:
        steps = 0

        def is_over() -> bool:
            nonlocal steps
            steps += _STEPS_A_CALL
            return steps > MAX_STEPS

        self.connection.set_progress_handler(is_over, _STEPS_A_CALL)
        try:
            return self.connection.execute(sql).fetchmany(limit + 1)
        # A result that Python cannot decode is a ValueError, an integer too large an OverflowError.
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            raise SqlFailure(str(error)) from error


@contextmanager
def _open_sqlite(schema: str) -> Iterator[Database]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        try:
            connection.executescript(schema)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise refused_schema(schema, error) from error
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_authorizer(_reads_only)
        yield _Sqlite(connection)
    finally:
        connection.close()


def _reads_only(action: int, first: str | None, second: str | None, *place: str | None) -> int:
    is_forbidden = action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN
    is_allowed = action in _READING and not is_forbidden
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


@dataclass(frozen=True, slots=True)
class _DuckDB:
    connection: DuckDBPyConnection

    def rows(self, sql: str, limit: int) -> list[Row]:
        import duckdb

        alarm = threading.Timer(MAX_SECONDS, self.connection.interrupt)
        alarm.start()
        try:
            rows: list[Row] = self.connection.execute(sql).fetchmany(limit + 1)
            return rows
        except (duckdb.Error, ValueError, OverflowError, MemoryError) as error:
            raise SqlFailure(str(error)) from error
        finally:
            alarm.cancel()


@contextmanager
def _open_duckdb(schema: str) -> Iterator[Database]:
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
        try:
            connection.execute(schema)
            connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            raise refused_schema(schema, error) from error
        yield _DuckDB(connection)
    finally:
        connection.close()


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
        statements = [s for s in sqlglot.parse(sql, read=dialect) if s is not None]
    except (SqlglotError, RecursionError, ValueError):
        return False
    return len(statements) == 1 and isinstance(statements[0], sqlglot.exp.Query)
