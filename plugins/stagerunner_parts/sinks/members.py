"""Compressed output is a sequence of members, each closed by a commit: so it can be cut back to one and continued."""

from __future__ import annotations

from pathlib import Path

from stagerunner_parts.compression import Compressor, compressor, is_compressed


class Members:
    """The compressed members of one file. path: its name says how it is compressed, if it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packs = is_compressed(path)
        """Whether the file is compressed."""
        self._member: Compressor | None = None

    def packed(self, data: bytes) -> bytes:
        """The bytes to write for this data. Of a compressed file, some come later."""
        if not self.packs:
            return data
        if self._member is None:
            self._member = compressor(self._path)
            assert self._member is not None
        return self._member.compress(data)

    def ended(self) -> bytes:
        """The rest of the member that is open; nothing if none is."""
        member, self._member = self._member, None
        return member.flush() if member else b""
