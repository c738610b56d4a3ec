"""The source `parquet`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Any

from stagerunner import source
from stagerunner_parts.needed import need

need("arrow", "pyarrow")

import pyarrow as pa  # noqa: E402  only behind the look whether it is there
import pyarrow.parquet as pq  # noqa: E402

from stagerunner_parts.columnar.predicate import Range  # noqa: E402
from stagerunner_parts.columnar.reading import BATCH, ColumnFiles, Table  # noqa: E402
from stagerunner_parts.sources.inputs import AnyFile  # noqa: E402
from stagerunner_parts.sources.pieces import InputFile  # noqa: E402

READ = 2**20
"""Bytes of a column that are read at once."""


@source("parquet", suffixes=(".parquet", ".pq"))
class Parquet(ColumnFiles):
    """Read Parquet files, one record per row.

    Files may have different columns: a record has those of all files, with null for what its own file lacks.

    path: a file, a glob, an address (scheme://…), or a list of these.
    columns: the columns to read; by default all.
    filter: which rows to read, such as "price > 10 and city in ['Bern', 'Basel']". Row groups without any aren't read.
    options: of the file system of an address.
    """

    kind = "Parquet"

    def _table(self, file: AnyFile) -> Table:
        return ParquetTable(file.name if isinstance(file, InputFile) else file.seekable(), self)


class ParquetTable:
    """An open Parquet file without the row groups in which nothing can match; see columnar.reading.Table."""

    def __init__(self, file: Any, source: ColumnFiles) -> None:
        self._file = pq.ParquetFile(file, buffer_size=READ, pre_buffer=False)
        self.schema = self._file.schema_arrow
        self._columns = source.needed(self.schema)
        self._filter = source.filter
        metadata = self._file.metadata
        self._groups = [number for number in range(metadata.num_row_groups) if self._may_match(number)]
        groups = [metadata.row_group(number) for number in self._groups]
        self._ends = list(accumulate(group.num_rows for group in groups))
        self.rows = self._ends[-1] if self._ends else 0
        self.size = sum(group.total_byte_size for group in groups if group.num_rows)

    def _may_match(self, number: int) -> bool:
        if self._filter is None or not set(self._filter.columns) <= set(self.schema.names):
            return True
        return self._filter.may_hold(partial(self._range, number), self.schema)

    def _range(self, number: int, column: str) -> Range:
        group = self._file.metadata.row_group(number)
        for at in range(group.num_columns):
            chunk = group.column(at)
            if chunk.path_in_schema == column:
                found = chunk.statistics
                return (found.min, found.max) if found is not None and found.has_min_max else None
        return None

    def batches(self, first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        group = bisect_right(self._ends, first)
        at = self._ends[group - 1] if group else 0
        for batch in self._file.iter_batches(BATCH, self._groups[group:], self._columns):
            yield at, batch
            at += batch.num_rows

    def nearer(self, at: int, first: int) -> bool:
        return bisect_right(self._ends, at) != bisect_right(self._ends, first)

    def number(self, row: int) -> int:
        group = bisect_right(self._ends, row)
        before = self._ends[group - 1] if group else 0
        metadata = self._file.metadata
        skipped: Any = sum(metadata.row_group(number).num_rows for number in range(self._groups[group]))
        return row - before + int(skipped)
