"""Rows as aligned lines of a limited width: less important columns are dropped first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from stagerunner.config.excerpt import visible
from stagerunner.views.console import Line

GAP = "  "


class Column(Struct, frozen=True):
    """left: aligned left, for text; else right, for numbers. drops: the highest is dropped first; 0: never.
    optional: left out if no row has anything but 0 in it."""

    title: str
    left: bool = False
    drops: int = 0
    optional: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """The header and a line for each row, cut to `width` characters."""
    cells = [[column.title for column in columns], *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    used = [
        index
        for index, column in enumerate(columns)
        if not column.optional or any(row[index] not in ("", "0") for row in rows)
    ]
    kept = _fitting(columns, used, widths, width)
    return [_line(columns, row, widths, kept)[:width] for row in cells]


def drawn(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[Line]:
    """The lines of a table as a console writes them."""
    header, *lines = table(columns, rows, width)
    yield (("dim", header),)
    yield from ((line,) for line in lines)


def _fitting(columns: Sequence[Column], used: Sequence[int], widths: Sequence[int], width: int | None) -> list[int]:
    kept = list(used)
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
