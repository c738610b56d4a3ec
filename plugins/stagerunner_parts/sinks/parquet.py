"""The sink `parquet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

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

    def _schema_in(self, path: Path) -> pa.Schema:
        return pq.read_schema(path)


class ParquetWriter(PartWriter):
    """Writes a Parquet file, one row group after the other."""

    def __init__(self, path: Path, schema: pa.Schema, compression: str) -> None:
        self._file: Any = pa.OSFile(str(path), "wb")
        # pyarrow's own pool gives memory back at once, and the next row group needs as much again.
        self._memory = pa.system_memory_pool()
        self._writer = pq.ParquetWriter(self._file, schema, compression=compression, memory_pool=self._memory)

    def group(self, table: pa.Table) -> int:
        # In one chunk: pages would else depend on how the rows came.
        self._writer.write_table(table.combine_chunks(self._memory), row_group_size=table.num_rows or None)
        return int(self._file.tell())

    def close(self) -> None:
        self._writer.close()
        self._file.close()
