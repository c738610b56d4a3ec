"""A finished file is put in its place elsewhere: whole, under its name only when all of it is there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.store import Refused, Store

AT_ONCE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "memory"))
"""Stores in which an object appears when all of it is there. Elsewhere a file gets its name at the end."""

AT_A_TIME = 100 * 2**20
"""Bytes that file systems send at most before they say that they have."""


class Destination:
    """Where a file is to be put."""

    def __init__(self, address: Address, options: StorageOptions | None) -> None:
        self.address = address
        self._store = Store(address, options)

    def check(self, mode: str) -> None:
        """Raises OSError or ValueError, with a message, if nothing can be put there."""
        if mode == "append":
            raise ValueError(
                f"{self.address} can't be appended to: it is put in its place whole; use `mode: replace` or `new`, and "
                "another name for each run"
            )
        if self.address.is_web:
            raise ValueError(f"{self.address} can only be read: over HTTP there is no common way to write")
        if "{" in self.address.text:
            raise ValueError(
                f"{self.address} has the name of a field in it: a file for each value is written here only; write to a "
                "folder here, then copy that"
            )
        if self.address.is_glob or not self.address.name:
            raise ValueError(f"{self.address} is not the address of one file")
        self._store.check()
        self.exists()

    def exists(self) -> bool:
        """Raises OSError, with a message, if that can't be determined."""
        return self._size() is not None

    def _size(self) -> int | None:
        """Of what is there; None if nothing is."""
        try:
            info: dict[str, Any] = self._store.call(lambda system: system.info(self._store.path()))
        except FileNotFoundError:
            return None
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{self.address} is a folder, not a file")
        return int(info.get("size") or 0)

    def put(self, local: Path) -> None:
        """Copy the file there. Raises OSError, with a message; its errno says whether it may pass."""
        progress = _Progress(local.stat().st_size)
        send: Callable[[Any], None] = partial(self._send, local, progress)
        self._store.patiently(send, self._store.begin(send), progress)
        size, there = local.stat().st_size, self._size()
        if there != size:
            raise Refused(f"{self.address} should have {size:,} bytes now, but has {there or 0:,}")

    def move(self, local: Path) -> None:
        """`put` the file there, and remove it here. The error says that it is still here."""
        try:
            self.put(local)
        except OSError as error:
            where = f"; the output is complete in {local}"
            raise (
                OSError(error.errno, f"{error.strerror}{where}") if error.errno else OSError(f"{error}{where}")
            ) from None
        local.unlink()

    def _send(self, local: Path, progress: _Progress, system: Any) -> None:
        path = self._store.path()
        callback = progress.callback()
        if self.address.scheme in AT_ONCE:
            system.put_file(str(local), path, callback=callback)
            return
        beside = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.stagerunner")
        system.put_file(str(local), beside, callback=callback)
        system.mv(beside, path)


class _Progress:
    """An upload of so many bytes, and when it last made progress."""

    def __init__(self, size: int) -> None:
        self.least = min(size, AT_A_TIME)
        self._last = monotonic()

    def moved(self) -> float:
        return self._last

    def callback(self) -> Any:
        from fsspec.callbacks import Callback  # fsspec is imported only where it is used

        def heard(size: Any, value: Any, **more: Any) -> None:
            self._last = monotonic()

        return Callback(hooks={"heard": heard})
