"""The sink `arrow`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Literal

from stagerunner import sink
from stagerunner_parts.needed import need

need("arrow", "pyarrow")

import pyarrow as pa  # noqa: E402  only behind the look whether it is there

from stagerunner_parts.columnar.encoding import PartWriter  # noqa: E402
from stagerunner_parts.columnar.parts import Mode  # noqa: E402
from stagerunner_parts.columnar.types import ColumnType  # noqa: E402
from stagerunner_parts.columnar.writing import GROUP, ColumnOutput  # noqa: E402
from stagerunner_parts.remote.address import Address, StorageOptions  # noqa: E402
from stagerunner_parts.sinks.tables import Extras, Missing  # noqa: E402

STREAM = ".arrows"


@sink("arrow", suffixes=(".arrow", ".feather", ".arrows"))
class Arrow(ColumnOutput):
    """Write records as the rows of an Arrow file, or of a folder of such files.

    A path that ends in .arrow or .feather is a file (IPC, Feather), one that ends in .arrows a stream, any other a
    folder. The columns are those of the first record, or of its batch. A record that doesn't fit is a failure. In a
    folder the files are called part-00000.arrow and so on; those of an earlier run are replaced, other files stay.

    path: the file or folder, here or at an address (scheme://…).
    schema: the columns and their types; by default those of the first record.
    extras: what to do with fields that have no column: fail, or ignore them.
    missing: what to do if a record lacks fields: fail, or fill its row with nulls.
    compression: how the columns of a batch are compressed.
    group: rows of a batch.
    rows: rows of a file in a folder, at most; by default any number.
    bytes: bytes of a file in a folder: it ends with the batch that reaches them.
    mode: replace existing files, append further ones to a folder, or write only where nothing is.
    options: of the file system of an address.
    """

    suffixes = (".arrow", ".feather", STREAM)

    def __init__(
        self,
        *,
        path: Path | Address,
        schema: dict[str, ColumnType] | None = None,
        extras: Extras = "fail",
        missing: Missing = "fail",
        compression: Literal["none", "lz4", "zstd"] = "none",
        group: int = GROUP,
        rows: int | None = None,
        bytes: int | None = None,
        mode: Mode = "replace",
        options: StorageOptions | None = None,
    ) -> None:
        self.compression = compression
        super().__init__(path, schema, extras, missing, mode, group=group, rows=rows, size=bytes, options=options)

    def _writer(self, path: Path, schema: pa.Schema) -> PartWriter:
        options = pa.ipc.IpcWriteOptions(compression=None if self.compression == "none" else self.compression)
        return ArrowWriter(path, schema, options, stream=self.path.name.lower().endswith(STREAM))

    def _schema_in(self, part: Path | BinaryIO) -> pa.Schema:
        with pa.memory_map(str(part)) if isinstance(part, Path) else part as file:
            return pa.ipc.open_file(file).schema


class ArrowWriter(PartWriter):
    """Writes an Arrow stream or file. In a file each column has one dictionary for all batches, so a file with
    dictionaries is made from a stream at the end."""

    def __init__(self, path: Path, schema: pa.Schema, options: Any, *, stream: bool) -> None:
        self._path, self._options = path, options
        self._again = not stream and "dictionary<" in str(schema)
        self._file = pa.OSFile(str(path), "wb")
        new = pa.ipc.new_stream if stream or self._again else pa.ipc.new_file
        self._writer = new(self._file, schema, options=options)

    def group(self, table: pa.Table) -> int:
        # Copied even if it is one batch: what was cut from a larger one would be written with more than its own texts.
        self._writer.write_batch(pa.concat_batches(table.to_batches()))
        return int(self._file.tell())

    def close(self) -> None:
        self._writer.close()
        self._file.close()

    def complete(self) -> None:
        self.close()
        if self._again:
            new = self._path.with_name(f"{self._path.name}-file")
            with pa.memory_map(str(self._path)) as memory, pa.OSFile(str(new), "wb") as file:
                table = pa.ipc.open_stream(memory).read_all().unify_dictionaries()
                with pa.ipc.new_file(file, table.schema, options=self._options) as writer:
                    writer.write_table(table)
                del table
            new.replace(self._path)
