"""What the sources of columns have in common: files whose rows are numbered, cut into splits of so many rows.

A worker keeps the file open and goes on where the last split ended, so a large row group is decoded once, and only a
part of it is in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from itertools import dropwhile
from typing import Any, ClassVar, NamedTuple, Protocol

import pyarrow as pa

from stagerunner import ArrowRows, Origin, Split, Want
from stagerunner_parts.columnar.predicate import Predicate
from stagerunner_parts.columnar.widening import common, widened
from stagerunner_parts.compression import is_compressed
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sources.inputs import STDIN, AnyFile, Paths, find_all
from stagerunner_parts.sources.pieces import Changed, InputFile

BATCH = 65536
"""Rows that are decoded at once."""

ALIGNED = 1024
"""Splits of at least so many rows end at multiples of a power of two, so that nothing decoded is cut off centre."""


class Table(Protocol):
    """An open file. schema: of its rows. rows: how many it has. size: bytes that they take decoded, about."""

    schema: pa.Schema
    rows: int
    size: int

    def batches(self, first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches in order, each with the number of its first row. Row `first` is in the first of them, or behind."""

    def nearer(self, at: int, first: int) -> bool:
        """Whether `batches(first)` gets to that row sooner than going on from row `at`."""

    def number(self, row: int) -> int:
        """The number of a row in the file, rows that were left out included."""


class Found(NamedTuple):
    """A file as the parent found it."""

    file: AnyFile
    schema: pa.Schema
    rows: int
    size: int


class Opened:
    """A file that a worker reads: where it is in it, and the batch decoded last."""

    def __init__(self, file: AnyFile, table: Table) -> None:
        self.file, self._table = file, table
        self._batches: Iterator[tuple[int, pa.RecordBatch]] = iter(())
        self._start = -1
        self._batch: Any = None

    def rows(self, first: int, number: int) -> pa.RecordBatch:
        """So many rows from this one on."""
        parts = []
        while number > 0:
            self._seek(first)
            part = self._batch.slice(first - self._start, number)
            parts.append(part)
            first, number = first + part.num_rows, number - part.num_rows
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    def _seek(self, row: int) -> None:
        """Make the batch current that holds this row."""
        end = -1 if self._batch is None else self._start + self._batch.num_rows
        if self._batch is None or row < self._start or (row >= end and self._table.nearer(end, row)):
            self._batches, end = self._table.batches(row), -1
        while row >= end:
            found = self._next(row)
            if found is None:
                raise OSError(f"{self.file.name} has fewer rows than its description says")
            self._start, self._batch = found
            end = self._start + self._batch.num_rows

    def _next(self, row: int) -> tuple[int, pa.RecordBatch] | None:
        """The next batch on the way to this row."""
        try:
            return next(self._batches, None)
        except (pa.ArrowException, OSError) as error:
            if not is_verdict(error):
                raise
            raise ValueError(f"{self.file.name} is damaged near row {row:,}: {error}") from None


def is_verdict(error: Exception) -> bool:
    """Whether pyarrow says that a file isn't what it should be. It may say so with a plain OSError."""
    if isinstance(error, OSError):
        return type(error) is OSError and not error.errno
    return not isinstance(error, MemoryError)


class ColumnFiles(ABC):
    """A source of files that hold columns. Its records are rows, and stay columns as long as no stage takes dicts."""

    batches = True
    pure = True
    _opened: Opened | None = None

    kind: ClassVar[str]
    """What the files are, for messages."""

    def __init__(
        self,
        *,
        path: Paths,
        columns: list[str] | None = None,
        filter: Predicate | None = None,
        options: StorageOptions | None = None,
    ) -> None:
        self.path = path
        self.options = options
        self.columns = columns
        self.filter = filter

    @abstractmethod
    def _table(self, file: AnyFile) -> Table:
        """Open a file."""

    def _table_of(self, file: AnyFile) -> Table:
        """Open a file. Raises ValueError, with a message, if it isn't of this kind; OSError if it can't be read now."""
        try:
            return self._table(file)
        except (pa.ArrowException, OSError) as error:
            if not is_verdict(error):
                raise
            raise ValueError(f"{file.name} can't be read as {self.kind}: {error}") from None

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the files can't be read, or not as one table."""
        if self.path in (STDIN, [STDIN]):
            raise ValueError("standard input can't be read by columns; name a file")
        for path in self.path if isinstance(self.path, list) else [self.path]:
            if is_compressed(path.name if isinstance(path, Address) else path):
                raise ValueError(f"{path} is compressed as a whole, so no part of it can be read alone: unpack it")
        self._schema  # noqa: B018  finding it is the check

    @cached_property
    def _found(self) -> list[Found]:
        found = []
        for file in find_all(self.path, self.options):
            table = self._table_of(file)
            found.append(Found(file, table.schema, table.rows, table.size))
        return found

    @cached_property
    def _schema(self) -> pa.Schema:
        """That of all files: their columns together, with types that hold the values of each."""
        first, *others = self._found
        schema = first.schema
        for other in others:
            try:
                schema = common(schema, other.schema)
            except ValueError as error:
                raise ValueError(f"{other.file.name} has other columns than {first.file.name}: {error}") from None
        if self.filter is not None:
            self.filter.check(schema)
        selected = self._selected(schema)
        if twice := [name for name in selected.names if selected.names.count(name) > 1]:
            raise ValueError(
                f"{first.file.name} has two columns {twice[0]!r}, and a record only one; leave them out with `columns`"
            )
        return selected

    def _selected(self, schema: pa.Schema) -> pa.Schema:
        if self.columns is None:
            return schema
        if missing := [name for name in self.columns if name not in schema.names]:
            raise ValueError(f"there is no column {missing[0]!r}; there are {', '.join(schema.names)}")
        return pa.schema([schema.field(name) for name in self.columns])

    def needed(self, schema: pa.Schema) -> list[str] | None:
        """The columns of a file that have to be read; None for all."""
        if self.columns is None:
            return None
        wanted = [*self.columns, *(() if self.filter is None else self.filter.columns)]
        return [name for name in dict.fromkeys(wanted) if name in schema.names]

    def identity(self) -> Any:
        return [found.file.identity() for found in self._found]

    def size(self) -> int:
        return sum(found.size for found in self._found)

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: [name of a file, number of the next row]."""
        for found, start in self._remaining(after):
            schema = None if found.schema.equals(self._schema) else self._schema.serialize().to_pybytes()
            while start < found.rows:
                stop = min(found.rows, _stop(start, want))
                size = found.size * stop // found.rows - found.size * start // found.rows
                data = [_named(found.file), start, stop - start, schema]
                yield Split(data, max(1, size), [found.file.name, stop], stop - start)
                start = stop

    def _remaining(self, after: Any) -> list[tuple[Found, int]]:
        if after is None:
            return [(found, 0) for found in self._found]
        left = list(dropwhile(lambda found: found.file.name != after[0], self._found))
        if not left:
            raise FileNotFoundError(f"the run stopped in {after[0]}, which is no longer a file of the source")
        return [(left[0], after[1]), *((found, 0) for found in left[1:])]

    def read(self, split: Split) -> ArrowRows:
        return ArrowRows(self._rows(split)[0])

    def _rows(self, split: Split) -> tuple[pa.RecordBatch, Any]:
        """The rows of a split, and their indexes in it if some are left out."""
        file, first, number, schema = split.data
        batch, indexes = self._open(self._file(file)).rows(first, number), None
        if self.filter is not None:
            batch, indexes = self.filter.apply(_whole(batch, self.filter.columns))
        if schema is not None:
            batch = widened(batch, pa.ipc.read_schema(pa.py_buffer(schema)), file[0])
        elif self.columns is not None:
            batch = batch.select(self.columns)
        return batch, indexes

    def _file(self, named: tuple[Any, ...]) -> AnyFile:
        """The file of a split. Raises Changed if a remote one isn't what the parent found."""
        if len(named) == len(InputFile._fields):
            return InputFile(*named)
        if (found := self._remote.get(named[0])) is None or _named(found) != tuple(named):
            raise Changed(f"{named[0]} has changed since the run began")
        return found

    @cached_property
    def _remote(self) -> dict[str, AnyFile]:
        """The files as a worker finds them: a connection can't be sent."""
        return {file.name: file for file in find_all(self.path, self.options)}

    def _open(self, file: AnyFile) -> Opened:
        if self._opened is None or self._opened.file != file:
            if isinstance(file, InputFile):
                file.opened().close()  # it is the one that the parent found
            self._opened = Opened(file, self._table_of(file))
        return self._opened

    def locate(self, split: Split, number: int) -> Origin:
        file, first, _, _ = split.data
        indexes = None if self.filter is None else self._rows(split)[1]
        row = first + (number if indexes is None else indexes[number].as_py())
        return Origin(file[0], None, self._table_of(self._file(file)).number(row))


def _named(file: AnyFile) -> tuple[Any, ...]:
    """A file as plain data."""
    return tuple(file) if isinstance(file, InputFile) else (file.name, file.size, file.tag)


def _stop(start: int, want: Want) -> int:
    """Behind which row the split ends that begins at `start`."""
    if want.exact or want.records < ALIGNED:
        return start + max(1, want.records)
    step = min(BATCH, 1 << (want.records.bit_length() - 1))
    return (start // step + 1) * step


def _whole(batch: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
    """The batch with these columns: those that its file lacks are null."""
    for name in columns:
        if name not in batch.schema.names:
            batch = batch.append_column(name, pa.nulls(batch.num_rows))
    return batch
