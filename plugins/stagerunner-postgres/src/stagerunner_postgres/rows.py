"""A record as a row: which of its fields have a column, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from stagerunner_postgres.encoding import NULL, Format, format_of, plain
from stagerunner_postgres.relations import Column, near

Extras: TypeAlias = Literal["fail", "ignore"]
Missing: TypeAlias = Literal["fail", "fill"]


class RowEncoder:
    """Makes rows of records, for these columns. chosen: those that a record needs although they have a default."""

    def __init__(self, columns: list[Column], chosen: frozenset[str], *, extras: Extras, missing: Missing) -> None:
        self._columns = {column.name: column for column in columns}
        self._formats: dict[str, Format] = {column.name: format_of(column) for column in columns}
        self._needed = frozenset(column.name for column in columns if not column.default or column.name in chosen)
        self._extras = extras
        self._missing = missing

    def row(self, record: Any) -> dict[str, str]:
        """The texts of the record's columns. Raises ValueError if it doesn't fit."""
        if not isinstance(record, Mapping):
            kind = type(record).__name__
            raise ValueError(f"a row needs a mapping with fields, but this is a {kind}: {record!r:.60}")
        row = {}
        for name, value in record.items():
            form = self._formats.get(name)
            if form is not None:
                row[name] = self._text(name, value, form)
            elif self._extras == "fail":
                why = "; `extras: ignore` leaves such fields out"
                raise ValueError(f"there is no column for {name!r}{near(str(name), list(self._columns))}{why}")
        if not self._needed <= row.keys():
            self._fill(row)
        if not row:
            raise ValueError("the record has no field that is a column of the table")
        return row

    def _text(self, name: str, value: Any, form: Format) -> str:
        value = plain(value)
        if value is None:
            if self._columns[name].required:
                raise ValueError(f"column {name!r} can't be null")
            return NULL
        try:
            return form(value)
        except (ValueError, OverflowError) as why:
            raise ValueError(f"column {name!r}: {why}") from None

    def _fill(self, row: dict[str, str]) -> None:
        for name in self._columns:
            if name in self._needed and name not in row:
                if self._missing == "fail":
                    raise ValueError(f"the record lacks {name!r}; `missing: fill` makes it null")
                if self._columns[name].required:
                    raise ValueError(f"the record lacks {name!r}, which can't be null")
                row[name] = NULL
