"""What a table or query looks like: its columns, their types, and which of them are unique."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from stagerunner_postgres.connecting import Connection, asking, one_line

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), b.typname,
       CASE WHEN b.typcategory = 'A' THEN e.typname END,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
       a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '', a.attidentity <> '',
       (SELECT array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = b.oid)
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_type e ON e.oid = b.typelem
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""

UNIQUE = """
SELECT i.indisprimary, array_agg(a.attname::text ORDER BY a.attname)
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid, i.indisprimary
ORDER BY i.indisprimary DESC, i.indexrelid
"""


class Column(NamedTuple):
    """A column of a table.

    type: as PostgreSQL writes it. base: the type's own name; of a domain, that of what it is made of. element: of an
    array, the base type of its elements. modifier: length or precision, coded as PostgreSQL does; -1 if there is none.
    default: it has a value if none is given. identity: which is a number that counts up. labels: of an enum.
    """

    name: str
    type: str
    base: str
    element: str | None
    modifier: int
    required: bool
    default: bool
    identity: bool
    labels: list[str] | None


class Table(NamedTuple):
    """A table, view or partitioned table. unique: the columns of each unique index; primary: those of the
    primary key. kind: as in pg_class. width: bytes of a row on average, 0 where that isn't known."""

    oid: int
    schema: str
    name: str
    columns: dict[str, Column]
    unique: list[list[str]]
    primary: list[str]
    kind: str
    width: float

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def table_of(connection: Connection, name: str) -> Table:
    """Look a table up, by a name as in SQL. Raises ValueError if there is none, OSError if it can't be asked."""
    try:
        found = connection.execute("SELECT to_regclass(%s)::oid", (name,)).fetchone()
    except psycopg.errors.SyntaxError as error:
        raise ValueError(f"{name!r} can't be the name of a table: {one_line(error)}") from None
    except psycopg.errors.InvalidName as error:
        raise ValueError(f"{name!r} can't be the name of a table: {one_line(error)}") from None
    with asking(lambda: f"table {name}"):
        if found is None or found[0] is None:
            raise ValueError(f"there is no table {name}{_others(connection, name)}")
        oid = found[0]
        about = connection.execute(
            "SELECT n.nspname, c.relname, c.relkind::text, c.reltuples, pg_table_size(c.oid)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s",
            (oid,),
        ).fetchone()
        assert about is not None
        columns = [Column(*row) for row in connection.execute(COLUMNS, (oid,))]
        indexes = connection.execute(UNIQUE, (oid,)).fetchall()
    schema, relation, kind, rows, size = about
    keys = [sorted(listed) for _, listed in indexes]
    primary: list[str] = next((listed for first, listed in indexes if first), [])
    width = size / rows if rows > 0 else 0.0
    return Table(oid, schema, relation, {column.name: column for column in columns}, keys, primary, kind, width)


def _others(connection: Connection, name: str) -> str:
    rows = connection.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(c.oid)"
        " AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
        " ORDER BY 1 LIMIT 50"
    )
    return near(name, [row[0] for row in rows])


def near(name: str, known: list[str]) -> str:
    """What to say after "there is no …": the name that was meant, or those there are."""
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; there is {', '.join(known)}" if known else ""


def types_of(connection: Connection, query: str) -> list[tuple[str, str]]:
    """Name and type of each column that a query gives. Raises ValueError if it isn't a query."""
    try:
        described: Any = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(nested(query))).description
        types = [(column.name, column.type_code) for column in described]
    except psycopg.Error as error:
        raise ValueError(f"PostgreSQL refuses the query: {one_line(error)}") from None
    listed = "SELECT format_type(t, -1) FROM unnest(%s::oid[]) WITH ORDINALITY u(t, n) ORDER BY n"
    asked = connection.execute(listed, ([code for _, code in types],))
    return [(name, kind) for (name, _), (kind,) in zip(types, asked, strict=True)]


def nested(query: str) -> sql.Composable:
    """The query as something to select from. A comment at its end may not swallow the bracket."""
    return sql.SQL("({}\n) AS q").format(sql.SQL(query.rstrip().rstrip(";")))
