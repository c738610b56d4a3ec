"""The source `arrow`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagerunner import source
from stagerunner_parts.needed import need

need("arrow", "pyarrow")

import pyarrow as pa  # noqa: E402  only behind the look whether it is there

from stagerunner_parts.columnar.predicate import Predicate  # noqa: E402
from stagerunner_parts.columnar.reading import ColumnFiles, Table  # noqa: E402

if TYPE_CHECKING:
    from stagerunner_parts.sources.inputs import AnyFile, Paths

MAGIC = b"ARROW1"
"""How a file begins; anything else is a stream."""


@source("arrow", suffixes=(".arrow", ".feather", ".arrows"))
class Arrow(ColumnFiles):
    """Read Arrow files and streams (IPC, Feather), one record per row.

    Files may have different columns: a record has those of all files, with null for what its own file lacks.

    path: a file, a glob, or a list of these.
    columns: the columns to read; by default all.
    filter: which rows to read, such as "price > 10 and city in ['Bern', 'Basel']".
    """

    def __init__(
        self, *, path: Path | list[Path], columns: list[str] | None = None, filter: Predicate | None = None
    ) -> None:
        self.path: Paths = path if isinstance(path, Path) else [*path]
        self.columns = columns
        self.filter = filter

    def _table(self, file: AnyFile) -> Table:
        try:
            return ArrowTable(file.name, self)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                raise
            raise ValueError(f"{file.name} can't be read as Arrow: {error}") from None


class ArrowTable:
    """An Arrow file or stream; see columnar.reading.Table. Its batches are counted at once, without their columns."""

    def __init__(self, name: str, source: ColumnFiles) -> None:
        self._name = name
        with open(name, "rb") as file:
            self._is_stream = file.read(len(MAGIC)) != MAGIC
        with pa.memory_map(name) as memory:
            self.size = memory.size()
            self.schema = self._reader(memory, None).schema
            needed = source.needed(self.schema)
            self._columns = None if needed is None else [self.schema.get_field_index(name) for name in needed]
            few = [0] if len(self.schema) else None
            self._ends = list(accumulate(batch.num_rows for batch in self._batches(self._reader(memory, few), 0)))
        self.rows = self._ends[-1] if self._ends else 0

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
        with pa.OSFile(self._name) as file:  # not mapped: a file that is cut short would kill the process
            for batch in self._batches(self._reader(file, self._columns), number):
                yield at, batch
                at += batch.num_rows

    def nearer(self, at: int, first: int) -> bool:
        return not self._is_stream

    def number(self, row: int) -> int:
        return row
