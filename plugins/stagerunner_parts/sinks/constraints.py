"""Which of some rows a table of DuckDB would refuse, asked before they are inserted.

DuckDB gives up the whole transaction at a row that it refuses, and says neither which row nor all of them. So the rows
go into a temporary table, and each constraint of the real one is asked of them as a query, which sees the rows that the
transaction has written so far.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagerunner_parts.sinks.database import quoted
from stagerunner_parts.sinks.rows import Names

AT = "_stagerunner_at"
"""The column of the temporary table that numbers its rows."""
ASKED = "temp._stagerunner_asked"
KEYED = re.compile(r' ON (?:"(?:[^"]|"")*"|[\w.])+(?: USING \w+)? ?\((.*)\);?$', re.DOTALL | re.IGNORECASE)
"""What stands in the brackets of `CREATE UNIQUE INDEX`."""


@dataclass(frozen=True)
class Rule:
    """A condition in SQL that holds for a row which breaks a constraint. columns: that it needs, in lower case."""

    text: str
    columns: frozenset[str]
    broken: str


@dataclass(frozen=True)
class Key:
    """Expressions that no two rows may share. columns: that they need, in lower case."""

    text: str
    columns: frozenset[str]
    expressions: tuple[str, ...]


class Constraints:
    """Those of one table, as they are when this is made.

    columns: of the table, with their types, by name in lower case.
    """

    def __init__(self, connection: Any, table: str, columns: Mapping[str, str]) -> None:
        self._table = table
        self._columns = columns
        found = connection.execute(
            "SELECT constraint_type, constraint_text, expression, constraint_column_names, referenced_table,"
            f" referenced_column_names FROM duckdb_constraints() {_here('table_name')}",
            [table],
        ).fetchall()
        self._rules = [rule for one in found if (rule := self._rule(*one))]
        self._keys = [Key(one[1], _lower(one[3]), tuple(map(quoted, one[3]))) for one in found if _is_key(one[0])]
        self._keys += self._indexes(connection)
        self._defaults = {
            name.lower(): default
            for name, default in connection.execute(
                f"SELECT column_name, column_default FROM duckdb_columns() {_here('table_name')}", [table]
            ).fetchall()
            if default is None or "nextval(" not in default.lower()  # which would take a number for each question
        }

    def broken_by(self, connection: Any, names: Names, rows: Sequence[Sequence[Any]]) -> dict[int, str]:
        """The rows that the table would refuse, by number, and which constraint each breaks: the first of two rows
        with one key is taken. May leave some out, never names one that would be taken."""
        present = self._ask(connection, names, rows)
        broken: dict[int, str] = {}
        for rule in self._rules:
            if rule.columns <= present:
                query = f"SELECT {AT} FROM {ASKED} AS {quoted(self._table)} WHERE {rule.broken}"
                broken |= {at: rule.text for (at,) in connection.execute(query).fetchall() if at not in broken}
        keys = [(key.text, self._groups(connection, key)) for key in self._keys if key.columns <= present]
        return broken | dict(_shared(keys, (at for at in range(len(rows)) if at not in broken)))

    def _ask(self, connection: Any, names: Names, rows: Sequence[Sequence[Any]]) -> set[str]:
        """Fill the temporary table. Returns the columns that it has."""
        given = [name.lower() for name in names]
        columns = [f"unnest(?::{self._columns[name]}[]) AS {quoted(name)}" for name in given]
        others = {name: value for name, value in self._defaults.items() if name not in given}
        columns += [f"({value or 'NULL'})::{self._columns[name]} AS {quoted(name)}" for name, value in others.items()]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ASKED.removeprefix('temp.')} AS"
            f" SELECT unnest(range(?)) AS {AT}, {', '.join(columns)}",
            [len(rows), *map(list, zip(*rows, strict=True))],
        )
        return {*given, *others}

    def _groups(self, connection: Any, key: Key) -> dict[int, tuple[int, bool]]:
        """For each row that has the key, by number: which other rows share it, and whether a row of the table does."""
        names = [f"k{number}" for number in range(len(key.expressions))]
        made = ", ".join(f"{one} AS {name}" for one, name in zip(key.expressions, names, strict=True))
        same = " AND ".join(f"there.{name} = asked.{name}" for name in names)
        found = connection.execute(
            f"SELECT {AT}, dense_rank() OVER (ORDER BY {', '.join(names)}),"
            f" EXISTS (SELECT 1 FROM (SELECT {made} FROM {quoted(self._table)}) AS there WHERE {same})"
            f" FROM (SELECT {AT}, {made} FROM {ASKED} AS {quoted(self._table)}) AS asked"
            f" WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names)}"
        ).fetchall()
        return {at: (group, there) for at, group, there in found}

    def _rule(
        self, kind: str, text: str, expression: str | None, columns: list[str], other: str | None, keys: list[str]
    ) -> Rule | None:
        if kind == "NOT NULL":
            broken = f"{quoted(columns[0])} IS NULL"
            text = f"{text} ({columns[0]})"
        elif kind == "CHECK":
            broken = f"NOT ({expression})"
        elif kind == "FOREIGN KEY" and other and other.lower() != self._table.lower():
            mine = [f"{quoted(self._table)}.{quoted(name)}" for name in columns]
            same = " AND ".join(f"other.{quoted(key)} = {name}" for key, name in zip(keys, mine, strict=True))
            there = f"EXISTS (SELECT 1 FROM {quoted(other)} AS other WHERE {same})"
            broken = " AND ".join([*(f"{name} IS NOT NULL" for name in mine), f"NOT {there}"])
        else:
            return None
        return Rule(text, _lower(columns), broken)

    def _indexes(self, connection: Any) -> Iterator[Key]:
        query = f"SELECT index_name, sql FROM duckdb_indexes() {_here('table_name')} AND is_unique"
        for name, made in connection.execute(query, [self._table]).fetchall():
            if found := KEYED.search(made):
                mentioned = frozenset(column for column in self._columns if column in found[1].lower())
                yield Key(f"UNIQUE INDEX {name}", mentioned, tuple(_parted(found[1])))


def _shared(keys: list[tuple[str, dict[int, tuple[int, bool]]]], numbers: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Of these rows, in order, those that share a key with the table or with an earlier one that is taken."""
    taken: list[set[int]] = [set() for _ in keys]
    for at in numbers:
        mine = [groups.get(at) for _, groups in keys]
        clash = next((i for i, one in enumerate(mine) if one and (one[1] or one[0] in taken[i])), None)
        if clash is not None:
            yield at, keys[clash][0]
            continue
        for seen, one in zip(taken, mine, strict=True):
            seen.update([one[0]] if one else [])


def _here(column: str) -> str:
    """The table of this name, in the database that is written."""
    return f"WHERE lower({column}) = lower(?) AND schema_name = current_schema() AND database_name = current_database()"


def _is_key(kind: str) -> bool:
    return kind in ("PRIMARY KEY", "UNIQUE")


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _parted(text: str) -> Iterator[str]:
    """The expressions of a list, which may have commas in brackets and quotes."""
    depth, quote, part = 0, "", ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "()[]":
            depth += 1 if char in "([" else -1
        elif char == "," and not depth:
            yield part.strip()
            part = ""
            continue
        part += char
    yield part.strip()
