"""Where the files of a path with fields go: below a folder on this machine, or at an address.

The folder ends before the first part of the path that has a field. Until the run is complete the files lie in a hidden
folder on this machine: beside their places, or, for an address, with the user's state.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.many import move
from stagerunner_parts.sinks.naming import has_field, name_for, pattern_of, plain
from stagerunner_parts.sinks.owned import partial_of


class FolderHere:
    """A folder on this machine. path: with fields."""

    def __init__(self, path: Path) -> None:
        self._path = path
        at = next(index for index, part in enumerate(path.parts) if has_field(part))
        self._folder = Path(os.path.realpath(Path(*path.parts[:at])))
        self.name = "/".join(path.parts[at:])
        """That of each file below the folder, with fields."""
        self.beside = self._folder / plain(self.name).replace("/", "-")
        """What stands for all files."""
        self.place = self._folder / f".{plain(self.name).replace('/', '-')[:150]}.partial"
        """The hidden folder."""

    def check(self) -> None:
        """Whether they can be written is for the sink of one file to say."""

    def __str__(self) -> str:
        return str(self._path)

    def name_for(self, record: Any) -> str:
        """The name of the record's file. Raises ValueError if it has none."""
        return name_for(self.name, record)

    def first(self) -> Any:
        """A file that is there; None if none is."""
        return next(self._folder.glob(pattern_of(self.name)), None)

    def exists(self) -> bool:
        return self._folder.exists()

    def take(self, files: Iterator[Path]) -> None:
        """Move these files of the hidden folder to their places."""
        for path in files:
            move(path, self._folder / path.relative_to(self.place), self._folder, self._folder)


class FolderElsewhere:
    """A folder at an address. path: its address with the name of each file in it, with fields."""

    def __init__(self, path: Address, options: StorageOptions | None) -> None:
        # Only for remote paths, of which there are few.
        from stagerunner_parts.remote.folder import RemoteFolder
        from stagerunner_parts.remote.spool import spool_of

        self._path = path
        base, self.name = split_at_field(path)
        self._folder = RemoteFolder(base, options)
        self.beside = spool_of(Address(plain(path.text)))
        self.place = partial_of(self.beside)

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if no files can be put there."""
        if self._folder.address.text.endswith("://"):
            raise ValueError(f"{self._path}: a field can name a folder or file, but no server and no bucket")
        if self._path.is_glob:
            raise ValueError(f"{self._path} names one place, so it can't have the `*`, `?` or `[` of a pattern")
        self._folder.check()

    def __str__(self) -> str:
        return str(self._path)

    def name_for(self, record: Any) -> str:
        """The name of the record's file. Raises ValueError if it has none."""
        # In an address, a version or a query may begin there.
        return re.sub("[?#]", "_", name_for(self.name, record))

    def first(self) -> Address | None:
        """A file that is there; None if none is. Raises OSError, with a message, if that can't be determined."""
        return self._folder.first(pattern_of(self.name))

    def exists(self) -> bool:
        return self._folder.exists()

    def take(self, files: Iterator[Path]) -> None:
        """Copy these files of the hidden folder to their places, and remove each that is there.

        Raises OSError, with a message; its errno says whether it may pass.
        """
        from stagerunner_parts.remote.uploading import with_more  # as above

        named = ((path, str(path.relative_to(self.place))) for path in files)
        try:
            for path in self._folder.put(named):
                path.unlink()
        except OSError as error:
            raise with_more(error, f"the files that aren't there yet are complete in {self.place}") from None


def split_at_field(path: Address) -> tuple[Address, str]:
    """The address of the folder before the first part with a field, and the rest."""
    parts = path.text.split("/")
    at = next(index for index, part in enumerate(parts) if has_field(part))
    return Address(f"{path.scheme}://{'/'.join(parts[2:at])}"), "/".join(parts[at:])
