"""A finished file is put in its place elsewhere: whole, under its name only when all of it is there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.store import Refused, Store

AT_ONCE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "memory"))
"""Stores in which an object appears when all of it is there. Elsewhere a file gets its name at the end."""

AT_A_TIME = 100 * 2**20
"""Bytes that file systems send at most before they say that they have."""


class FileDestination:
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
        check_place(self._store, "file", self.exists)

    def exists(self) -> bool:
        """Raises OSError, with a message, if that can't be determined."""
        try:
            info: dict[str, Any] = self._store.call(lambda system: system.info(self._store.path()))
        except FileNotFoundError:
            return False
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{self.address} is a folder, not a file")
        return True

    def is_missing(self) -> bool:
        """Whether the finished file isn't there."""
        return not self.exists()

    def move(self, local: Path) -> None:
        """Copy the file there, and remove it here. Raises OSError, with a message that says that it is still here; its
        errno says whether it may pass."""
        try:
            Upload(self._store, local).wait()
        except OSError as error:
            raise with_more(error, f"the output is complete in {local}") from None
        local.unlink()


class Upload:
    """A file on its way to the address of a store. It begins at once, in a thread."""

    def __init__(self, store: Store, local: Path) -> None:
        self._store, self._local = store, local
        self._progress = _Progress(local.stat().st_size)
        self._call = store.begin(self._send)

    def wait(self) -> None:
        """Until it is there. Raises OSError, with a message; its errno says whether it may pass."""
        try:
            self._store.patiently(self._send, self._call, self._progress)
        except FileNotFoundError:
            raise Refused(f"{self._store.address} can't be written: there is no such bucket or folder") from None

    def _send(self, system: Any) -> None:
        path = self._store.path()
        callback = self._progress.callback()
        if self._store.address.scheme in AT_ONCE:
            system.put_file(str(self._local), path, callback=callback)
        else:
            beside = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.stagerunner")
            system.put_file(str(self._local), beside, callback=callback)
            system.mv(beside, path)
        self._verify(system.info(path))

    def _verify(self, info: dict[str, Any]) -> None:
        size, there = self._local.stat().st_size, int(info.get("size") or 0)
        if there != size:
            raise Refused(f"{self._store.address} should have {size:,} bytes now, but has {there:,}")


def check_place(store: Store, what: str, exists: Callable[[], bool]) -> None:
    """Raises OSError or ValueError, with a message, if no `what` (file or folder) can be put at the store's address."""
    address = store.address
    if address.is_web:
        raise ValueError(f"{address} can only be read: over HTTP there is no common way to write")
    if address.is_glob or not address.name:
        raise ValueError(f"{address} is not the address of one {what}")
    store.check()
    if not exists():
        _check_bucket(store)


def _check_bucket(store: Store) -> None:
    """Raises FileNotFoundError, with a message, if there is no such bucket. Only S3 is asked: others need rights for
    that which writing doesn't need."""
    scheme, _, path = store.address.text.partition("://")
    if scheme not in ("s3", "s3a"):
        return
    bucket = store.of(Address(f"{scheme}://{path.partition('/')[0]}"))
    try:
        bucket.call(lambda system: system.info(bucket.path()))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no bucket {bucket.address}") from None
    except Refused:
        pass  # who may write may not always look


def with_more(error: OSError, more: str) -> OSError:
    """The error with something behind its message."""
    return OSError(error.errno, f"{error.strerror}; {more}") if error.errno else OSError(f"{error}; {more}")


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
