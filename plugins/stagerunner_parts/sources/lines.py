"""The source `lines`."""

from __future__ import annotations

from typing import Literal

from stagerunner import Malformed, source
from stagerunner_parts.remote.address import StorageOptions
from stagerunner_parts.sources.inputs import Paths
from stagerunner_parts.sources.pieces import LONG, Head, lines_of
from stagerunner_parts.sources.reading import RecordFiles
from stagerunner_parts.sources.texts import check_encoding, no_characters, plain


@source("lines")
class Lines(RecordFiles):
    """Read text files, one record per line.

    The newline, and a carriage return before it, are not part of the record. Files whose names end in .gz, .bz2, .xz
    or .zst are decompressed.

    path: a file, a glob, an address (scheme://…), a list of these, or - for standard input.
    encoding: the encoding of the text.
    errors: what to do with bytes that can't be decoded: strict refuses the line, replace marks them, ignore omits them.
    options: of the file system of an address.
    """

    def __init__(
        self,
        *,
        path: Paths,
        encoding: str = "utf-8",
        errors: Literal["strict", "replace", "ignore"] = "strict",
        options: StorageOptions | None = None,
    ) -> None:
        self.path = path
        self.options = options
        self.encoding = plain(encoding)
        self.errors = errors

    def check(self) -> None:
        check_encoding(self.encoding)
        super().check()

    def decode(self, block: bytes, head: Head) -> list[str]:
        found: list[str] = []
        view, start, end = memoryview(block), 0, block.find(b"\n")
        while end - start >= LONG:  # decoded where it lies: cut out of the text it would be copied once more
            found.append(str(view[start:end], self.encoding, self.errors).removesuffix("\r"))
            start = end + 1
            end = block.find(b"\n", start)
        text = str(view[start:], self.encoding, self.errors)
        lines = lines_of(text, "\n")
        return found + ([line.removesuffix("\r") for line in lines] if "\r" in text else lines)

    def decode_one(self, raw: bytes, head: Head) -> str | Malformed:
        wrong = no_characters(raw, self.encoding) if self.errors == "strict" else None
        return wrong or raw.removesuffix(b"\r").decode(self.encoding, self.errors)
