"""The source `json`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any

import msgspec.json

from stagerunner import Malformed, Split, Want, source
from stagerunner_parts.compression import is_compressed
from stagerunner_parts.json import reason
from stagerunner_parts.remote.address import StorageOptions
from stagerunner_parts.sources.documents import Document
from stagerunner_parts.sources.elements import ElementCutter, ElementRule, ValueCutter, ValueRule, WholeCutter
from stagerunner_parts.sources.inputs import AnyFile, Paths, remaining
from stagerunner_parts.sources.pieces import (
    CHUNK,
    AnyCutter,
    Block,
    Head,
    InputFile,
    Lines,
    Overlong,
    Piece,
    read,
    span,
)
from stagerunner_parts.sources.reading import RecordFiles, bytes_of, pumped, size_of, splits_of
from stagerunner_parts.sources.texts import no_characters

ELEMENTS, VALUE = ElementRule(), ValueRule()

_decode = msgspec.json.Decoder().decode


@source("json", suffixes=(".json",))
class Json(RecordFiles):
    """Read JSON files, one record per element of an array.

    Any other document is one record. The file is not held in memory: it is cut between elements. An element that isn't
    JSON, or is `null`, is malformed; a file that ends too early, or in which something follows the document, ends the
    run. Files whose names end in .gz, .bz2, .xz or .zst are decompressed.

    path: a file, a glob, an address (scheme://…), a list of these, or - for standard input.
    at: where the array or value is in the document: names, and numbers of elements, joined by dots, or as a list.
    options: of the file system of an address.
    """

    faults = (ValueError, RecursionError)

    def __init__(self, *, path: Paths, at: str | list[str] = "", options: StorageOptions | None = None) -> None:
        self.path = path
        self.options = options
        self.at = at

    @property
    def _keys(self) -> list[str]:
        return self.at if isinstance(self.at, list) else self.at.split(".") if self.at else []

    def check(self) -> None:
        super().check()
        for file in self._files:
            self._look_into(file)

    def _look_into(self, file: AnyFile) -> None:
        """Raises ValueError if what is wanted certainly isn't in the file. A long way to it is left to the run."""
        document = Document(file.name, self._keys, self.max_record)
        with bytes_of(file) as stream:
            data = stream.read(CHUNK)
            document.feed(data)
            if len(data) < CHUNK and not document.found:
                document.feed(b"")

    def _splits(self, after: Any, want: Want) -> Iterator[Split]:
        return self.by_number(self._by_size(after, want), want)

    def _by_size(self, after: Any, want: Want) -> Iterator[Split]:
        for found, start in remaining(self._files, after):
            document = Document(found.name, self._keys, self.max_record, start)
            if not isinstance(found, InputFile):
                splitter = DocumentSplitter(document, found.name, resumable=True)
                yield from splits_of(splitter, pumped(found, 0, want))
                continue
            if is_compressed(found.name):
                splitter = DocumentSplitter(document, found.name, resumable=True)
                with bytes_of(found) as stream:
                    yield from splits_of(splitter, _compressed(stream, want))
                continue
            with found.opened() as raw:
                file = found.with_head(raw.fileno())
                splitter = DocumentSplitter(document, file.name, resumable=True, file=file)
                yield from splits_of(splitter, _plain(file, raw.fileno(), document, want))

    @cached_property
    def _stream_splitter(self) -> DocumentSplitter:
        assert self._unsplittable is not None
        name = self._unsplittable.name
        return DocumentSplitter(Document(name, self._keys, self.max_record), name)

    def decode(self, block: bytes, head: Head) -> list[Any]:
        records = [_decode(block)] if _is_single(head) else _decode(b"[%b]" % block[:-1])
        # Without elements it is the place of one that is missing.
        if not records or None in records:
            raise ValueError("null")
        found: list[Any] = records
        return found

    def decode_one(self, raw: bytes, head: Head) -> Any:
        text = raw.strip(b" \t\n\r")
        if not text:
            return Malformed("JSONDecodeError", "an element is missing before the comma or bracket", "")
        try:
            record = _decode(text)
        except self.faults as error:
            what = "value" if _is_single(head) else "element"
            why = f"the {what} is not JSON: {reason(error)}"
            return no_characters(text) or Malformed("JSONDecodeError", why, text.decode())
        return Malformed("JSONDecodeError", "null can't be a record", "null") if record is None else record

    def rule(self, head: Head) -> Lines:
        return VALUE if _is_single(head) else ELEMENTS

    def _blocks(self, piece: Piece) -> Iterator[tuple[int, Block]]:
        # The parent has found where it ends. Only a large piece, of long elements, is cut again, to save memory.
        cutter = self._cutter(piece.head)
        return piece.blocks(WholeCutter(cutter.edges) if piece.stop - piece.start <= CHUNK else cutter)

    def _cutter(self, head: Head) -> AnyCutter:
        return ValueCutter(self.max_record) if _is_single(head) else ElementCutter(self.max_record)

    def _fits(self, block: bytes, head: Head) -> bool:
        return max(map(len, self._records(block, head))) <= self.max_record

    def _starts(self, piece: Piece) -> Iterator[int]:
        """Where the records begin, without the white space before them."""
        for offset, block in self._blocks(piece):
            for raw in [block.head] if isinstance(block, Overlong) else self._records(block, piece.head):
                yield offset + len(raw) - len(raw.lstrip(b" \t\n\r"))
                offset += len(raw) + 1


def _is_single(head: Head) -> bool:
    return head is not None and head[0] == "value"


class DocumentSplitter:
    """Makes splits of the blocks of a document. file: where their bytes can be read again, so that splits needn't hold
    them. resumable: whether splits have a position."""

    def __init__(
        self, document: Document, name: str, *, resumable: bool = False, file: InputFile | None = None
    ) -> None:
        self._document = document
        self._name = name
        self._resumable = resumable
        self._file = file

    def feed(self, data: bytes) -> list[Split]:
        """Add bytes; returns the splits that they complete. Raises ValueError if they are no such document."""
        return [self._split(offset, block) for offset, block in self._document.feed(data)]

    def finish(self) -> list[Split]:
        """The splits of the rest, at the end of the input."""
        return self.feed(b"")

    def _split(self, start: int, block: Block) -> Split:
        stop = start + span(block)
        single = self._document.single
        held = None if self._file is not None and not isinstance(block, Overlong) else block
        piece = Piece(self._name, start, stop, held, ("value" if single else "elements",), self._file)
        most = 1 if single or isinstance(block, Overlong) else len(block)
        return Split(piece, stop - start, [self._name, stop] if self._resumable else None, most)


def _plain(file: InputFile, fd: int, document: Document, want: Want) -> Iterator[bytes]:
    """The bytes of a file, but for those that the document doesn't need."""
    at = 0
    while at < file.size:
        data = read(file, fd, at, min(at + size_of(want), file.size))
        yield data
        at += len(data) + document.skip()


def _compressed(stream: IO[bytes], want: Want) -> Iterator[bytes]:
    while data := stream.read(size_of(want)):
        yield data
