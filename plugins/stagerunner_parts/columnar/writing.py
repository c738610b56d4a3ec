"""What the sinks of columns have in common: one schema for the whole output, and parts."""

from __future__ import annotations

import os
from abc import abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from zlib import crc32

import pyarrow as pa

from stagerunner import ArrowRows, as_record_batch
from stagerunner_parts.columnar.encoding import PartWriter
from stagerunner_parts.columnar.parts import Mode, Parts, number_of, old_parts
from stagerunner_parts.columnar.streams import length_of, stream_of
from stagerunner_parts.columnar.types import ColumnType
from stagerunner_parts.compression import is_compressed
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.naming import has_field
from stagerunner_parts.sinks.places import Elsewhere, place_of
from stagerunner_parts.sinks.tables import Extras, Missing, refuse_others
from stagerunner_parts.sinks.targets import check_target, resolved

if TYPE_CHECKING:
    from stagerunner_parts.columnar.elsewhere import PartsDestination

HEAD = Struct(">QQQ")
"""In front of each stream: a checksum of its schema, its rows, its bytes."""

GROUP = 262144
"""Rows of a row group, which is in memory while it is written. Half as many take 4 % longer."""


class ColumnOutput:
    """A sink that writes columns. See `parts` for the files."""

    batches = True
    pure = True
    keeps = "truncate"

    suffixes: ClassVar[tuple[str, ...]]
    """Those of paths that are one file, and the first that of the parts in a folder."""

    def __init__(
        self,
        path: Path | Address,
        schema: dict[str, ColumnType] | None,
        extras: Extras,
        missing: Missing,
        mode: Mode,
        *,
        group: int,
        rows: int | None,
        size: int | None = None,
        options: StorageOptions | None = None,
    ) -> None:
        self._one_file = path.name.lower().endswith(self.suffixes)
        self.mode: Mode = mode
        self._destination = self._destination_of(path, options)
        self._place = place_of(path, options) if self._destination is None else Elsewhere.of(self._destination)
        self.path = self._place.path
        self.schema = schema
        self.extras: Extras = extras
        self.missing: Missing = missing
        self._given = (group, rows, size)
        found = resolved(self.path)
        self._real = found if isinstance(found, Path) else Path(os.path.realpath(self.path))
        self._expected: pa.Schema | None = None
        if schema is not None:
            self._expected = pa.schema([pa.field(name, kind.type) for name, kind in schema.items()])
        self._parts = self._new_parts()
        self._checksum: int | None = None
        self._known: dict[str, int] | None = None
        self._position: dict[str, int] | None = None
        self._opened = False

    def _destination_of(self, path: Path | Address, options: StorageOptions | None) -> PartsDestination | None:
        """The folder of an address; None for anything else."""
        if self._one_file or isinstance(path, Path):
            return None
        # Only for remote paths, of which there are few.
        from stagerunner_parts.columnar.elsewhere import PartsDestination

        adds = self.mode == "append"
        return PartsDestination(path, options, self.suffixes[0], adds=adds, is_empty=self._is_empty)

    def _new_parts(self) -> Parts:
        group, rows, size = self._given
        suffix = None if self._one_file else self.suffixes[0]
        adds = self.mode == "append"
        return Parts(self._real, suffix, group=group, rows=rows, size=size, writer=self._writer, adds=adds)

    @abstractmethod
    def _schema_in(self, part: Path | BinaryIO) -> pa.Schema:
        """The columns of a part that is there."""

    @abstractmethod
    def _writer(self, path: Path, schema: pa.Schema) -> PartWriter:
        """Open the writer of a part."""

    # In the plan

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if nothing can be written there."""
        shown, numbers = self.describe(), [number for number in self._given if number is not None]
        if min(numbers) < 1:
            raise ValueError("a number of rows or bytes is at least 1")
        if has_field(shown):
            raise ValueError(f"{shown}: a field can be part of a path in the sinks `lines`, `jsonl` and `csv` only")
        if is_compressed(self.path):
            raise ValueError(f"{shown}: such a file is compressed inside; leave {self.path.suffix} out")
        self._check_file() if self._one_file else self._check_folder()

    def _check_file(self) -> None:
        shown, (_, rows, size) = self.describe(), self._given
        if self.mode == "append":
            raise ValueError(f"nothing can be appended to {shown}; name a folder, and it gets further parts")
        if rows is not None or size is not None:
            raise ValueError(f"{shown} is one file; parts need a folder, so leave {self.suffixes[0]} out")
        self._place.check(self.mode)
        check_target(self.path, self._real, in_place=False)

    def _check_folder(self) -> None:
        if self.path == Path("-"):
            raise ValueError("columns can't be written to standard output; name a file or a folder")
        self._place.check(self.mode)
        if self._real.exists() and not self._real.is_dir():
            raise NotADirectoryError(f"{self.path} is a file; a single file's name ends in {self.suffixes[0]}")
        above = next(parent for parent in self._real.parents if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(f"{self.path} can't be written: {above} isn't a folder that can be written to")

    def check_new(self) -> None:
        """Raises FileExistsError if something is there, and mode `new` overwrites nothing."""
        if self.mode == "new" and self._is_taken():
            raise FileExistsError(f"{self.describe()} already exists, and mode `new` overwrites nothing")

    def _is_taken(self) -> bool:
        if self._one_file or self._destination is not None:
            return self.exists()
        return self._real.exists() and any(self._real.iterdir())

    # In the last worker

    def encode(self, records: Any) -> Any:
        if not len(records):
            return b""
        schema = self._expected or _schema_of(records)
        batch = self._fitted(records, schema)
        length = length_of(batch)
        return stream_of(batch, HEAD.pack(_checksum(schema), batch.num_rows, length), length)

    def _fitted(self, records: Any, schema: pa.Schema) -> pa.RecordBatch:
        """The records as one batch of this schema. Raises ValueError if one doesn't fit."""
        wanted = set(schema.names)
        if isinstance(records, ArrowRows):
            names = records.batch.schema.names
            refuse_others(_beside(names, wanted), _beside(schema.names, set(names)), self.extras, self.missing)
            records = _filled(records, schema)
        else:
            for record in records:
                if isinstance(record, dict) and record.keys() != wanted:
                    lacking = _beside(schema.names, record.keys())
                    refuse_others(_beside(record, wanted), lacking, self.extras, self.missing)
        try:
            return as_record_batch(records, schema)
        except ValueError as error:
            hint = "; the first record decides on the columns, or else `schema`"
            if self.schema is not None:
                hint = "; the stage `convert` changes types"
            raise ValueError(f"{error}{hint}") from None

    def columns_of(self, records: Any) -> str:
        """The schema of a new output whose first record this is, as text."""
        return _text(_schema_of(records))

    def expect(self, columns: str) -> None:
        """From now on, encode only records that fit this schema."""
        self._expected = _schema(columns)

    def columns(self) -> str | None:
        """The schema that workers should expect; None if nothing has been written."""
        schema = self._parts.schema or self._expected
        return None if schema is None else _text(schema)

    def fits(self, data: Any) -> bool:
        """Whether the data was encoded for the schema of this output."""
        return self._checksum is None or all(checksum == self._checksum for checksum, _, _ in _runs(data))

    # In the parent

    def left(self, position: Any) -> None:
        """Tell the sink the position of the unfinished run before this one."""
        self._known = position

    def open(self, position: Any) -> None:
        """Begin anew if `position` is None, else go on at it.

        Raises OSError, with a message, if the folder isn't what the run to be resumed has left.
        """
        self._parts = self._new_parts()
        if position is None:
            self.check_new()
            there, first = self._what_is_there()
            self._real.parent.mkdir(parents=True, exist_ok=True)
            self._parts.begin((self._known or {}).get("folder", 0), first)
            self._parts.schema = there
        else:
            self._parts.schema = _schema(position["schema"]) if "schema" in position else None
            self._parts.begin_again(position)
        self._opened = True
        self._take(self._parts.schema or (self._expected if self.schema else None))
        self._position = self._whereabouts()

    def _what_is_there(self) -> tuple[pa.Schema | None, int]:
        """The columns of the parts to which others are added, and the number of the next one.

        Raises ValueError if `schema` says something else.
        """
        if self._destination is not None:
            self._destination.clear(self._real)
        if self.mode != "append" or (last := self._last_part()) is None:
            return None, 0
        number, shown, part = last
        try:
            found = self._schema_in(part)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{shown} can't be read, so nothing can be added to {self.describe()}: {error}") from None
        if self.schema is not None and not found.equals(self._expected):
            raise ValueError(f"{shown} has other columns than `schema` says; write to another folder")
        return found, number + 1

    def _last_part(self) -> tuple[int, str, Path | BinaryIO] | None:
        """The last part that is there: its number, what to call it, and what to read it from."""
        if self._destination is not None:
            return self._destination.last_part()
        there = old_parts(self._real, self.suffixes[0]) if self._real.exists() else ()
        last = max(there, key=number_of, default=None)
        return None if last is None else (number_of(last), str(last), last)

    def _take(self, schema: pa.Schema | None) -> None:
        self._parts.schema = schema
        self._checksum = None if schema is None else _checksum(schema)

    def write(self, data: Any) -> None:
        """Raises ValueError if records have other columns than the output."""
        for checksum, rows, stream in _runs(data):
            if self._checksum is None:
                with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
                    self._take(reader.schema)
            if checksum != self._checksum:
                raise ValueError(f"a record has other columns than {self.describe()}; name them with `schema`")
            self._parts.write(stream, rows)

    def position(self) -> Any:
        """As of the last commit: the part, the bytes of its spool, the inode of the folder, the schema."""
        return self._position

    def commit(self, row: Any) -> None:
        before, self._position = self._position or {"part": 0}, self._whereabouts()
        # The journal's row of the commit before is written; that of this one isn't yet.
        self._parts.forget(before["part"])

    def _whereabouts(self) -> dict[str, Any]:
        schema = self._parts.schema
        return {**self._parts.where(), **({} if schema is None else {"schema": _text(schema)})}

    def sync(self) -> None:
        """Make what was written, or the renaming, survive a power failure."""
        self._parts.sync()

    def finish(self) -> None:
        """Write the last part, and give all of them their names; put the file in its place. May be called twice.

        Raises OSError if there is nothing to name, or if its place can't be reached.
        """
        self._place.finish(self._finish_here, self._real, under_way=self._opened)

    def _is_empty(self) -> bool:
        """Whether there is no part, as of the last commit."""
        where = self._position or self._known
        return where is not None and not (where["part"] or where["bytes"] or "schema" in where)

    def exists(self) -> bool:
        """Whether the finished output is still there."""
        return self._place.exists(self._real)

    def _finish_here(self) -> None:
        if not self._opened:
            if not self._parts.partial.exists():
                if not self._real.exists():
                    raise FileNotFoundError(f"{self._parts.partial} is gone, so {self.path} can't be made from it")
                return
            if self._known is not None and any(path.name.startswith("spool") for path in self._parts.partial.iterdir()):
                self.open(self._known)
        if self._one_file or self.mode == "new":
            self._refuse_other()
        self._parts.complete()
        self.abort()

    def _refuse_other(self) -> None:
        if self.mode == "new" and self._one_file:
            self.check_new()

    def abort(self) -> None:
        """Close, and keep what a resume needs."""
        self._parts.close()
        self._opened = False

    def discard(self) -> None:
        """This run can't be resumed: leave no files. Called before `abort`."""
        if self._opened:
            self._parts.close()
            self._parts.folder.remove()

    def target(self) -> Path:
        """The file or folder that this sink writes, with links resolved."""
        return self._real

    def describe(self) -> str:
        return str(self._place)


def _schema_of(records: Any) -> pa.Schema:
    """The schema of batches, or of the first of these records."""
    if isinstance(records, ArrowRows):
        return records.batch.schema
    return pa.schema([_roomy(column) for column in as_record_batch(records[:1]).schema])


def _roomy(column: pa.Field) -> pa.Field:
    """The column of decimals with room for as many digits as there can be: the first value may well be a short one."""
    kind = column.type
    return column.with_type(pa.decimal128(38, kind.scale)) if pa.types.is_decimal128(kind) else column


def _beside(names: Any, others: Any) -> Iterator[str]:
    return (name for name in names if name not in others)


def _filled(records: ArrowRows, schema: pa.Schema) -> ArrowRows:
    """The rows with null in the columns that they lack."""
    batch = records.batch
    for field in schema:
        if batch.schema.get_field_index(field.name) < 0:
            batch = batch.append_column(field, pa.nulls(batch.num_rows, field.type))
    return ArrowRows(batch)


def _text(schema: pa.Schema) -> str:
    return b64encode(schema.serialize().to_pybytes()).decode()


def _schema(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(b64decode(text)))


def _checksum(schema: pa.Schema) -> int:
    # Of what is read back: some schemas, as those of maps, are written in another way then.
    data = pa.ipc.read_schema(schema.serialize()).serialize().to_pybytes()
    return crc32(data) << 32 | len(data)


def _runs(data: Any) -> Iterator[tuple[int, int, memoryview]]:
    view, at = memoryview(data), 0
    while at < len(view):
        checksum, rows, length = HEAD.unpack_from(view, at)
        at += HEAD.size
        yield checksum, rows, view[at : at + length]
        at += length
