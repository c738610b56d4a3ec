"""Connections to PostgreSQL, and what their errors mean for a run.

An error that may pass (a server that restarts, a lock, a full disk) becomes an OSError with a number: the run stops,
and `--resume` goes on. Any other becomes an OSError without one: trying again won't help.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict

Connection: TypeAlias = psycopg.Connection[Any]

LOST = frozenset(("57P01", "57P02", "57P03", "57P05", "25P03"))
"""The server ended the connection: it shuts down, starts up, or was asked to."""

PASSING = {
    "55P03": errno.EBUSY,  # lock_timeout
    "40P01": errno.EDEADLK,
    "40001": errno.EAGAIN,  # serialization
    "57014": errno.ETIMEDOUT,  # statement_timeout, or cancelled by hand
    "53100": errno.ENOSPC,
    "53200": errno.ENOMEM,
    "53300": errno.EAGAIN,  # too many connections
    "58030": errno.EIO,
}

NOT_READY = ("starting up", "shutting down", "in recovery", "not yet accepting", "too many", "reserved for")
NO_HOST = ("translate host name", "resolve host", "service file", "definition of service")

SESSION = """
SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex';
SET idle_in_transaction_session_timeout = 0
"""
"""A transaction may be idle while stages compute, and values must have the same text whatever the server's settings."""

AS_TEXT = ("inet", "cidr", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange")
"""Types whose values come as PostgreSQL writes them: no sink has a way to write their Python types."""


def connected(dsn: str) -> Connection:
    """A new connection that commits each statement by itself. Raises OSError if there is none to be had."""
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, fallback_application_name="stagerunner", client_encoding="utf8"
        )
    except psycopg.Error as error:
        why = f"no connection to PostgreSQL: {one_line(error)}"
        raise (OSError(errno.ECONNREFUSED, why) if is_away(error) else OSError(why)) from None
    connection.add_notice_handler(_forward)
    for name in AS_TEXT:
        connection.adapters.register_loader(name, _Text)
    with asking():
        connection.execute(SESSION)
    return connection


def place_of(dsn: str) -> list[str]:
    """Host, port and database in it, as far as they are given: nothing that is a secret."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error:  # which connecting will say
        return []
    return [str(given[key]) for key in ("host", "port", "dbname") if given.get(key)]


def server_of(dsn: str) -> str:
    """The server for messages, as far as the DSN or libpq's environment names it: "PostgreSQL (host:port/database)"."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error:  # which connecting will say
        given = {}
    variables = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE"}
    host, port, database = (str(given.get(key) or os.environ.get(name, "")) for key, name in variables.items())
    place = host + (f":{port}" if port else "") + (f"/{database}" if database else "")
    return f"PostgreSQL ({place})" if place else "PostgreSQL"


def is_away(error: psycopg.Error) -> bool:
    """Whether there was no server to connect to, or it wasn't ready: then it may be there later.

    libpq gives no code for that. What a server refuses is FATAL, except while it starts, stops or is full.
    """
    said = str(error)
    refused = "FATAL" in said and not any(word in said for word in NOT_READY)
    return isinstance(error, psycopg.OperationalError) and not refused and not any(word in said for word in NO_HOST)


class _Text(Loader):
    def load(self, data: Any) -> str:
        return bytes(data).decode()


def _forward(notice: psycopg.errors.Diagnostic) -> None:
    print(f"postgres: {notice.severity}: {notice.message_primary}", file=sys.stderr, flush=True)


@contextmanager
def asking(where: Callable[[], str] = lambda: "PostgreSQL") -> Iterator[None]:
    """Turns an error of the server into an OSError. where: what was asked, for the message."""
    try:
        yield
    except psycopg.Error as error:
        raise meaning(error, where()) from error


def meaning(error: psycopg.Error, where: str) -> OSError:
    """The OSError for an error of the server."""
    state = error.sqlstate or ""
    if state in PASSING:
        return OSError(PASSING[state], f"{where}: {one_line(error)}")
    if is_lost(error):
        return OSError(errno.ECONNRESET, f"the connection to {where} was lost: {one_line(error)}")
    return OSError(f"{where}: {one_line(error)}")


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone."""
    state = error.sqlstate or ""
    return state in LOST or state.startswith("08") or (isinstance(error, psycopg.OperationalError) and not state)


def one_line(error: psycopg.Error) -> str:
    """The server's message, with its detail, in one line."""
    said = error.diag.message_primary
    parts = [said, error.diag.message_detail, error.diag.message_hint] if said else [str(error)]
    return "; ".join(" ".join(part.split()) for part in parts if part)


def names(columns: list[str] | tuple[str, ...], prefix: str = "") -> sql.Composed:
    """The columns as identifiers, separated by commas."""
    listed = [sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in columns]
    return sql.SQL(", ").join(listed)
