"""The sink `parquet`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO, Literal

from stagerunner import sink
from stagerunner_parts.needed import need

need("arrow", "pyarrow")

import pyarrow as pa  # noqa: E402  only behind the look whether it is there
import pyarrow.parquet as pq  # noqa: E402

from stagerunner_parts.columnar.encoding import PartWriter  # noqa: E402
from stagerunner_parts.columnar.parts import Mode  # noqa: E402
from stagerunner_parts.columnar.types import ColumnType  # noqa: E402
from stagerunner_parts.columnar.writing import GROUP, ColumnOutput  # noqa: E402
from stagerunner_parts.remote.address import Address, StorageOptions  # noqa: E402
from stagerunner_parts.sinks.tables import Extras, Missing  # noqa: E402

SAMPLE = 32768
"""Rows by which it is judged whether a column repeats itself: at most 2 ms a column."""

REPEATS = 0.5
"""A column has a dictionary if at most so many of the sampled values differ. pyarrow begins one for each column and
drops it only once it is full, in each row group again: 0.6 s for two million rows of which three columns in six repeat
themselves, 0.27 s with dictionaries for those three; the file is as large."""


@sink("parquet", suffixes=(".parquet", ".pq"))
class Parquet(ColumnOutput):
    """Write records as the rows of a Parquet file, or of a folder of such files.

    The columns are those of the first record, or of its batch. A record that doesn't fit is a failure. In a folder the
    files are called part-00000.parquet and so on; those of an earlier run are replaced, other files stay.

    path: the file, if it ends in .parquet or .pq; else the folder; here or at an address (scheme://…).
    schema: the columns and their types; by default those of the first record.
    extras: what to do with fields that have no column: fail, or ignore them.
    missing: what to do if a record lacks fields: fail, or fill its row with nulls.
    compression: how pages are compressed.
    group: rows of a row group.
    rows: rows of a file in a folder, at most; by default any number.
    bytes: bytes of a file in a folder: it ends with the row group that reaches them.
    mode: replace existing files, append further ones to a folder, or write only where nothing is.
    options: of the file system of an address.
    """

    suffixes = (".parquet", ".pq")

    def __init__(
        self,
        *,
        path: Path | Address,
        schema: dict[str, ColumnType] | None = None,
        extras: Extras = "fail",
        missing: Missing = "fail",
        compression: Literal["none", "snappy", "gzip", "zstd", "lz4", "brotli"] = "snappy",
        group: int = GROUP,
        rows: int | None = None,
        bytes: int | None = None,
        mode: Mode = "replace",
        options: StorageOptions | None = None,
    ) -> None:
        self.compression = compression
        super().__init__(path, schema, extras, missing, mode, group=group, rows=rows, size=bytes, options=options)

    def _writer(self, path: Path, schema: pa.Schema) -> PartWriter:
        return ParquetWriter(path, schema, self.compression)

    def _schema_in(self, part: Path | BinaryIO) -> pa.Schema:
        return pq.read_schema(part)


class ParquetWriter(PartWriter):
    """Writes a Parquet file, one row group after the other. The first decides which columns have dictionaries."""

    def __init__(self, path: Path, schema: pa.Schema, compression: str) -> None:
        self._file: Any = pa.OSFile(str(path), "wb")
        # pyarrow's own pool gives memory back at once, and the next row group needs as much again.
        self._memory = pa.system_memory_pool()
        self._schema, self._compression = schema, compression
        self._writer: Any = None

    def group(self, table: pa.Table) -> int:
        # In one chunk: pages would else depend on how the rows came.
        whole = table.combine_chunks(self._memory)
        self._begin(whole).write_table(whole, row_group_size=whole.num_rows or None)
        return int(self._file.tell())

    def complete(self) -> None:
        self._begin(pa.Table.from_batches([], self._schema))
        self.close()

    def _begin(self, first: pa.Table) -> Any:
        """The writer. first: the first row group, if none has been written."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._file,
                self._schema,
                compression=self._compression,
                use_dictionary=_repeating(first),
                memory_pool=self._memory,
            )
        return self._writer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._file.close()


def _repeating(table: pa.Table) -> bool | list[str]:
    """The columns for which a dictionary pays: their paths, or True for all."""
    sample = table.slice(0, SAMPLE)
    differing = {name for name, column in zip(sample.column_names, sample.columns, strict=True) if _differs(column)}
    if not differing:
        return True
    names = io.BytesIO()
    pq.write_table(table.slice(0, 0), names)  # the only way to the paths of columns inside others
    leaves = pq.ParquetFile(names).schema
    return [leaf.path for leaf in map(leaves.column, range(len(leaves.names))) if leaf.path not in differing]


def _differs(column: pa.ChunkedArray) -> bool:
    """Whether most values differ. Columns in columns aren't looked at."""
    import pyarrow.compute as pc  # late: it takes 30 ms, which the thread has, and the start hasn't

    try:
        differing = pc.count_distinct(column, memory_pool=pa.system_memory_pool())
    except pa.ArrowNotImplementedError:
        return False
    return bool(differing.as_py() > REPEATS * len(column))
