"""Rows as aligned lines of a limited width: less important columns are dropped first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from stagerunner.config.excerpt import visible

GAP = "  "


class Column(Struct, frozen=True):
    """left: aligned left, for text; else right, for numbers. drops: the highest is dropped first; 0: never."""

    title: str
    left: bool = False
    drops: int = 0


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """The header and a line for each row, cut to `width` characters."""
    cells = [[column.title for column in columns], *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    kept = _kept(columns, widths, width)
    return [_line(columns, row, widths, kept)[:width] for row in cells]


def filled(columns: Sequence[Column], rows: Sequence[Sequence[str]], nothing: str = "0") -> Iterator[int]:
    """The columns that have something other than `nothing` in at least one row."""
    return (index for index in range(len(columns)) if any(row[index] not in ("", nothing) for row in rows))


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    kept = list(range(len(columns)))
    droppable = sorted((index for index in kept if columns[index].drops), key=lambda index: columns[index].drops)
    while droppable and width is not None and _total(widths, kept) > width:
        kept.remove(droppable.pop())
    return kept


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[index] for index in kept) + len(GAP) * (len(kept) - 1)


def _line(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int], kept: Sequence[int]) -> str:
    cells = (
        row[index].ljust(widths[index]) if columns[index].left else row[index].rjust(widths[index]) for index in kept
    )
    return GAP.join(cells).rstrip()
