"""Rows of CSV as a record batch of texts, without a mapping for each row. It takes what the row reader takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

import pyarrow as pa
import pyarrow.csv

from stagerunner import ArrowRows

PLAIN = "utf-8"


def is_plain(block: bytes, delimiter: str, quote: str | None, encoding: str) -> bool:
    """Whether pyarrow's reader finds in it what Python's finds. Else it takes a lone carriage return for the end of a
    row, and text behind a closing quote for part of the field."""
    if encoding != PLAIN or not delimiter.isascii() or b"\r" in block:
        return False
    if quote is None or quote.encode() not in block:
        return True
    return quote.isascii() and _quoted_well(delimiter, quote).fullmatch(block) is not None


@cache
def _quoted_well(delimiter: str, quote: str) -> re.Pattern[bytes]:
    """Fields of which each is quoted as a whole, or not at all."""
    mark, between = re.escape(quote.encode()), re.escape(delimiter.encode())
    field = rb"(?:%b(?:[^%b]++|%b%b)*+%b|[^%b%b\n]*+)" % (mark, mark, mark, mark, mark, mark, between)
    return re.compile(rb"(?:%b[%b\n])*+%b" % (field, between, field))


def parsed(block: bytes, names: Sequence[str], delimiter: str, quote: str | None) -> pa.RecordBatch:
    """The rows of a plain block. Raises ValueError if one has another number of fields, or isn't text."""
    reading = pyarrow.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=list(names))
    marks = {"quote_char": quote or False, "double_quote": quote is not None, "newlines_in_values": quote is not None}
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter, escape_char=False, **marks)
    types = dict.fromkeys(names, pa.string())
    texts = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False, null_values=[])
    try:
        table = pyarrow.csv.read_csv(pa.BufferReader(block), reading, parsing, texts)
    except pa.ArrowException as error:  # a signal that it has heard of is one, too
        raise ValueError(str(error)) from None
    (batch,) = table.combine_chunks().to_batches()
    return batch


def batch_of(rows: Iterable[Sequence[str]], names: Sequence[str]) -> pa.RecordBatch:
    """Rows that are split into their fields. Raises ValueError if one has another number of fields."""
    columns = list(zip(*rows, strict=True))
    if len(columns) != len(names):
        raise ValueError("rows have another number of fields")
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=list(names))


def joined(batches: Sequence[pa.RecordBatch]) -> ArrowRows | None:
    """All rows; None if there is no batch."""
    if len(batches) < 2:
        return ArrowRows(batches[0]) if batches else None
    return ArrowRows(pa.concat_batches(batches))
