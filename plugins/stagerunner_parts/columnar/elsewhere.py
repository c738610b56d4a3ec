"""A folder of parts at an address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stagerunner_parts.columnar.parts import number_of, old_parts, parts_among
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.folder import RemoteFolder
from stagerunner_parts.remote.uploading import with_more


class PartsDestination:
    """Where parts are put that were made in a folder here. suffix: theirs. is_empty: whether this run made none."""

    def __init__(
        self, address: Address, options: StorageOptions | None, suffix: str, is_empty: Callable[[], bool]
    ) -> None:
        self._folder = RemoteFolder(address, options)
        self.address = self._folder.address
        self._suffix = suffix
        self._is_empty = is_empty

    def check(self, mode: str) -> None:
        """Raises OSError or ValueError, with a message, if nothing can be put there."""
        if mode == "append":
            raise ValueError(
                f"{self.address} gets no further parts: they can be added to a folder here only; use `mode: replace` "
                "or `new`, and another folder for each run"
            )
        try:
            self._folder.check()
        except NotADirectoryError as error:
            raise NotADirectoryError(f"{error}; a single file's name ends in {self._suffix}") from None

    def exists(self) -> bool:
        """Whether anything is there. Raises OSError, with a message, if that can't be determined."""
        return self._folder.exists()

    def is_missing(self) -> bool:
        """Whether the finished output isn't there. Without a part there is nothing to look for."""
        return not (self._is_empty() or self.exists())

    def move(self, made: Path) -> None:
        """Copy the parts there, remove those of an earlier run behind them, and then the folder here.

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
        count = number_of(last[0]) + 1 if last else 0
        there = parts_among(self._folder.names(), self._suffix)
        self._folder.remove(name for name in there if number_of(Path(name)) >= count)
