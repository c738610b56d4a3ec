"""Where an output goes when it is complete: it stays in the file in which it was made, or is put at an address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.naming import has_field, plain
from stagerunner_parts.sinks.owned import partial_of


class Destination(Protocol):
    """What can be reached at an address. What each method raises says what is wrong."""

    @property
    def address(self) -> Address: ...
    def check(self, mode: str) -> None: ...
    def exists(self) -> bool: ...
    def is_missing(self) -> bool: ...
    def move(self, made: Path) -> None: ...


class Here:
    """A file on this machine. path: as the config has it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, mode: str) -> None:
        """Whether it can be written is for the file itself to say."""

    def exists(self, made: Path) -> bool:
        """Whether the finished output is there. made: the file in which it is made, with links resolved."""
        return made.exists()

    def finish(self, complete: Callable[[], None], made: Path, *, under_way: bool) -> None:
        """Call `complete`, which makes the file whole."""
        complete()

    def __str__(self) -> str:
        return str(self.path)


class Elsewhere:
    """An address. path: the local file or folder in which the output is made."""

    def __init__(self, path: Path, destination: Destination) -> None:
        self.path = path
        self._destination = destination

    @classmethod
    def of(cls, destination: Destination) -> Elsewhere:
        """The address of a destination; what goes there is made with the user's state."""
        from stagerunner_parts.remote.spool import spool_of  # only for remote paths, of which there are few

        return cls(spool_of(destination.address), destination)

    def check(self, mode: str) -> None:
        """Raises OSError or ValueError, with a message, if nothing can be put there."""
        self._destination.check(mode)

    def exists(self, made: Path) -> bool:
        """Whether the finished output is there. Raises OSError, with a message, if that can't be determined."""
        return self._destination.exists()

    def finish(self, complete: Callable[[], None], made: Path, *, under_way: bool) -> None:
        """Call `complete`, which makes the local file whole, and move it to the address. May be called twice.

        under_way: whether the output is open. Raises OSError if there is nothing to move, or if the address can't be
        reached.
        """
        partial = partial_of(made)
        if under_way or partial.exists() or made.exists():
            complete()
            self._destination.move(made)
        elif self._destination.is_missing():
            raise FileNotFoundError(f"{partial} is gone, so it can't be put at {self}")

    def __str__(self) -> str:
        return str(self._destination.address)


def place_of(path: Path | Address, options: StorageOptions | None) -> Here | Elsewhere:
    """The place that a path or an address names."""
    if isinstance(path, Path):
        return Here(path)
    # Only for remote paths, of which there are few.
    from stagerunner_parts.remote.spool import spool_of
    from stagerunner_parts.remote.uploading import FileDestination

    if has_field(path.text):
        return Here(spool_of(Address(plain(path.text))))  # the files go to their places from there: see `folders`
    return Elsewhere.of(FileDestination(path, options))
