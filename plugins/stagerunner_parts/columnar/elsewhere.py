"""A folder of parts at an address."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from stagerunner_parts.columnar.parts import number_of, old_parts, parts_among
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.files import find
from stagerunner_parts.remote.folder import RemoteFolder
from stagerunner_parts.remote.uploading import with_more


class PartsDestination:
    """Where parts are put that were made in a folder here.

    suffix: theirs. adds: parts that are there stay. is_empty: whether this run made none.
    """

    def __init__(
        self,
        address: Address,
        options: StorageOptions | None,
        suffix: str,
        *,
        adds: bool,
        is_empty: Callable[[], bool],
    ) -> None:
        self._options = options
        self._folder = RemoteFolder(address, options)
        self.address = self._folder.address
        self._suffix, self._adds = suffix, adds
        self._is_empty = is_empty

    def check(self, mode: str) -> None:
        """Raises OSError or ValueError, with a message, if nothing can be put there."""
        try:
            self._folder.check()
        except NotADirectoryError as error:
            raise NotADirectoryError(f"{error}; a single file's name ends in {self._suffix}") from None

    def exists(self) -> bool:
        """Whether anything is there. Raises OSError, with a message, if that can't be determined."""
        return self._folder.exists()

    def last_part(self) -> tuple[int, str, BinaryIO] | None:
        """The last part that is there: its number, its address, and its bytes. None if there is none.

        Raises OSError, with a message; its errno says whether it may pass.
        """
        last = max(self._parts_there(), key=number_of, default=None)
        if last is None:
            return None
        (file,) = find(self._folder.below(last.name), self._options)
        return number_of(last), file.name, file.seekable()

    def _parts_there(self) -> list[Path]:
        return [Path(name) for name in parts_among(self._folder.names(), self._suffix)]

    def clear(self, made: Path) -> None:
        """Forget the parts of a run that is begun anew because they couldn't be put there."""
        if made.exists():
            shutil.rmtree(made)

    def is_missing(self) -> bool:
        """Whether the finished output isn't there. Without a part there is nothing to look for."""
        return not (self._is_empty() or self.exists())

    def move(self, made: Path) -> None:
        """Copy the parts there, remove those of an earlier run behind them, if none are added, and the folder here.

        May be called again after a kill. Raises OSError, with a message; its errno says whether it may pass.
        """
        parts = sorted(old_parts(made, self._suffix), key=number_of)
        if parts or self._is_empty():  # else the last call was killed just before its end
            try:
                self._replace(parts)
            except OSError as error:
                raise with_more(error, f"the parts that aren't there yet are complete in {made}") from None
        for path in parts[-1:]:
            path.unlink()
        made.rmdir()

    def _replace(self, parts: list[Path]) -> None:
        # The last one stays until everything is done: it says how many there are.
        last = parts[-1:]
        for path in self._folder.put((path, path.name) for path in parts):
            if path not in last:
                path.unlink()
        if not self._adds:
            count = number_of(last[0]) + 1 if last else 0
            self._folder.remove(path.name for path in self._parts_there() if number_of(path) >= count)
