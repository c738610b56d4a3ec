"""Guessing how a CSV file is written, from its first bytes. Equal bytes give equal guesses.

The csv module has a sniffer, but it finds delimiters among letters, and gives up on files with one column.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from typing import Literal

HEAD = 65536
"""Bytes at the beginning of a file that are looked at."""

ROWS = 1000
"""So many rows are looked at."""

DELIMITERS = "\t;|,"
"""What is tried, and preferred in this order: with decimal commas, a comma may be in every row as well."""


def sniffed_quote(text: str, delimiters: str) -> str:
    """The single quote if some fields are in such quotes, and none in double quotes; else the double quote."""
    return "'" if _has_quoted(text, "'", delimiters) and not _has_quoted(text, '"', delimiters) else '"'


def _has_quoted(text: str, quote: str, delimiters: str) -> bool:
    edge = rf"[{re.escape(delimiters)}]"
    field = rf"(?:^|{edge}){quote}(?>[^{quote}\n]*(?:{quote}{quote}[^{quote}\n]*)*){quote}(?={edge}|\r?$)"
    return re.search(field, text, re.MULTILINE) is not None


def sniffed_delimiter(rows_with: Callable[[str], Iterable[str]], quote: str | None) -> str | None:
    """The character that splits the most rows into as many fields as the first row, if that is more than one.

    rows_with: the rows of the text if this is the delimiter. None if no character splits them so.
    """
    scores = {delimiter: _score(rows_with(delimiter), delimiter, quote) for delimiter in DELIMITERS}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] else None


def quoting(quote: str | None) -> Literal[0, 3]:
    """The csv module's constant for whether there are quotes."""
    return csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE


def _score(rows: Iterable[str], delimiter: str, quote: str | None) -> float:
    # A reader for each row: a quote that is never closed must not swallow the rows after it.
    readers = (csv.reader([row], delimiter=delimiter, quotechar=quote, quoting=quoting(quote)) for row in rows)
    widths = [len(row) for reader in readers for row in reader]
    return widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0.0
