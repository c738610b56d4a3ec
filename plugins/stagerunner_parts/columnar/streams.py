"""Arrow streams of one batch each, as they stand one behind the other in a spool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa


class Piece(NamedTuple):
    """A stream in a spool: where it begins, how many bytes and rows it has."""

    offset: int
    length: int
    rows: int


def length_of(batch: pa.RecordBatch) -> int:
    """The bytes of the stream of a batch. Nothing is copied."""
    measured = pa.MockOutputStream()
    _write(measured, batch)
    return int(measured.size())


def stream_of(batch: pa.RecordBatch, head: bytes = b"", length: int | None = None) -> memoryview:
    """The batch as a stream. head: a multiple of 8 bytes that stand in front of it. length: of the stream, if it is
    known."""
    memory = pa.allocate_buffer(len(head) + (length_of(batch) if length is None else length))
    with pa.FixedSizeBufferWriter(memory) as out:
        out.write(head)
        _write(out, batch)
    return memoryview(memory)


def _write(out: Any, batch: pa.RecordBatch) -> None:
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)


def read_stream(data: Any) -> pa.RecordBatch:
    """The batch of such a stream. Nothing is copied."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_next_batch()


def streams(path: Path) -> Iterator[tuple[Piece, pa.Schema]]:
    """Where the streams of a spool are, and their schema."""
    with pa.memory_map(str(path)) as file:
        while (start := file.tell()) < file.size():
            with pa.ipc.open_stream(file) as reader:
                rows, schema = reader.read_next_batch().num_rows, reader.schema
                for _ in reader:
                    pass
            yield Piece(start, file.tell() - start, rows), schema


def table_of(path: Path, pieces: list[Piece], schema: pa.Schema) -> pa.Table:
    """The rows of these streams of a spool. They stay in the file."""
    with pa.memory_map(str(path)) as spool:
        batches = []
        for piece in pieces:
            spool.seek(piece.offset)
            batches.append(read_stream(spool.read_buffer(piece.length)))
    return pa.Table.from_batches(batches, schema)
