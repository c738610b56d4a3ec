"""A folder elsewhere: files are put into it, several at a time, each whole under its name."""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.store import Store
from stagerunner_parts.remote.uploading import Upload, check_place

AT_A_TIME = 8
"""Files that are under way at once. Small ones wait for answers, not for bytes."""


class RemoteFolder:
    """The folder of an address. It need not exist: stores of objects have none."""

    def __init__(self, address: Address, options: StorageOptions | None) -> None:
        scheme, _, path = address.text.partition("://")
        self.address = Address(f"{scheme}://{path.rstrip('/')}")
        self._store = Store(self.address, options)

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if no files can be put there."""
        check_place(self._store, "folder", self.exists)

    def exists(self) -> bool:
        """Raises OSError, with a message, if that can't be determined, or if it is a file."""
        try:
            info: dict[str, Any] = self._store.call(lambda system: system.info(self._path()))
        except FileNotFoundError:
            return False
        if info.get("type") != "directory":
            raise NotADirectoryError(f"{self.address} is a file, not a folder")
        return True

    def names(self) -> list[str]:
        """Those of the files that are in it, not deeper."""
        try:
            found = self._store.call(lambda system: system.ls(self._path(), detail=True))
        except FileNotFoundError:
            return []
        return [posixpath.basename(info["name"]) for info in found if info.get("type") == "file"]

    def first(self, pattern: str) -> Address | None:
        """The first file below it that a pattern such as */x.csv matches."""
        found = self._store.call(lambda system: system.glob(posixpath.join(self._path(), pattern)))
        return self._store.address.with_path(min(found)) if found else None

    def put(self, files: Iterable[tuple[Path, str]]) -> Iterator[Path]:
        """Copy each file to its name below the folder. Gives each, in order, as soon as it is there.

        Raises OSError, with a message; its errno says whether it may pass.
        """
        under_way: deque[tuple[Path, Upload]] = deque()
        for local, name in files:
            under_way.append((local, Upload(self._store.of(self.below(name)), local)))
            if len(under_way) == AT_A_TIME:
                yield _arrived(*under_way.popleft())
        while under_way:
            yield _arrived(*under_way.popleft())

    def remove(self, names: Iterable[str]) -> None:
        """Remove these files, if they are there."""
        for name in names:
            store = self._store.of(self.below(name))
            store.call(partial(_remove, store))

    def below(self, name: str) -> Address:
        """The address of a file in it."""
        return Address(f"{self.address.text}/{name}")

    def _path(self) -> str:
        return self._store.path() or "/"


def _arrived(local: Path, upload: Upload) -> Path:
    upload.wait()
    return local


def _remove(store: Store, system: Any) -> None:
    with suppress(FileNotFoundError):  # an attempt before this one may have removed it
        system.rm_file(store.path())
