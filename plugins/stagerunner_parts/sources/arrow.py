"""The source `arrow`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from stagerunner import source
from stagerunner_parts.needed import need

need("arrow", "pyarrow")

import pyarrow as pa  # noqa: E402  only behind the look whether it is there

from stagerunner_parts.columnar.messages import Range, numbers_of_rows  # noqa: E402
from stagerunner_parts.columnar.reading import ColumnFiles, Table  # noqa: E402
from stagerunner_parts.sources.inputs import AnyFile  # noqa: E402
from stagerunner_parts.sources.pieces import InputFile  # noqa: E402

MAGIC = b"ARROW1"
"""How a file begins; anything else is a stream."""


@source("arrow", suffixes=(".arrow", ".feather", ".arrows"))
class Arrow(ColumnFiles):
    """Read Arrow files and streams (IPC, Feather), one record per row.

    Files may have different columns: a record has those of all files, with null for what its own file lacks.

    path: a file, a glob, an address (scheme://…) of files, or a list of these.
    columns: the columns to read; by default all.
    filter: which rows to read, such as "price > 10 and city in ['Bern', 'Basel']".
    options: of the file system of an address.
    """

    kind = "Arrow"

    def _table(self, file: AnyFile) -> Table:
        return ArrowTable(file, self)


class ArrowTable:
    """An Arrow file or stream; see columnar.reading.Table. Its batches are counted at once, without their columns."""

    def __init__(self, file: AnyFile, source: ColumnFiles) -> None:
        self._file = file
        self.size = file.size or 0
        with self._opened() as data:
            self._is_stream = self.size < len(MAGIC) or next(self._parts([(0, len(MAGIC))])) != MAGIC
            if self._is_stream and not isinstance(file, InputFile):
                raise ValueError(f"{file.name} isn't an Arrow file; a stream can't be read in parts: download it first")
            reader = self._reader(data, None)
            self.schema = reader.schema
            needed = source.needed(self.schema)
            self._columns = None if needed is None else [self.schema.get_field_index(name) for name in needed]
            numbers = self._counted() if self._is_stream else numbers_of_rows(self.size, self._parts)
        self._ends = list(accumulate(numbers))
        self.rows = self._ends[-1] if self._ends else 0

    def _opened(self) -> Any:
        if isinstance(self._file, InputFile):
            return pa.OSFile(self._file.name)  # not mapped: a file that is cut short would kill the process
        return self._file.seekable()

    def _counted(self) -> Iterator[int]:
        """The rows of each batch of a stream."""
        few = [0] if len(self.schema) else None
        with pa.memory_map(self._file.name) as memory:
            yield from (batch.num_rows for batch in self._reader(memory, few))

    def _parts(self, ranges: Iterable[Range]) -> Iterator[bytes]:
        if not isinstance(self._file, InputFile):
            yield from self._file.parts(ranges)
            return
        with open(self._file.name, "rb", buffering=0) as file:
            for start, stop in ranges:
                file.seek(start)
                yield file.read(stop - start)

    def _reader(self, file: Any, columns: list[int] | None) -> Any:
        options = pa.ipc.IpcReadOptions(included_fields=columns)
        if self._is_stream:
            file.seek(0)
            return pa.ipc.open_stream(file, options=options)
        return pa.ipc.open_file(file, options=options)

    def _batches(self, reader: Any, start: int) -> Iterator[Any]:
        """Those from this one on. Those of a stream have to be passed one by one."""
        if self._is_stream:
            yield from (batch for number, batch in enumerate(reader) if number >= start)
        else:
            yield from (reader.get_batch(number) for number in range(start, reader.num_record_batches))

    def batches(self, first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        number = bisect_right(self._ends, first)
        at = self._ends[number - 1] if number else 0
        with self._opened() as file:
            for batch in self._batches(self._reader(file, self._columns), number):
                for column in batch.columns:
                    _check(column)
                yield at, batch
                at += batch.num_rows

    def nearer(self, at: int, first: int) -> bool:
        return not self._is_stream

    def number(self, row: int) -> int:
        return row


def _check(column: Any) -> None:
    """Raises pyarrow.ArrowInvalid if it points outside itself: pyarrow believes a file, and the process would die.

    Texts are looked at as bytes: to decode them takes longer than to read them, and bytes that aren't text may pass.
    """
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.binary() if pa.types.is_string(column.type) else pa.large_binary())
    column.validate(full=True)
