"""What a source reads: finds the files, and tells what can only be read once, as it comes."""

from __future__ import annotations

import fcntl
import glob
import os
import re
import stat
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sources.pieces import InputFile

if TYPE_CHECKING:
    from stagerunner_parts.remote.files import RemoteFile

Paths: TypeAlias = Path | Address | list[Path | Address]
"""What the option `path` of a source takes."""

AnyFile: TypeAlias = "InputFile | RemoteFile"

STDIN = Path("-")

LINKS = 40
"""At most so many symbolic links are followed in a row."""

_OWN = re.compile(rf"/dev/fd|/proc/(?:self|thread-self|{os.getpid()})(?:/task/\d+)?/fd")
"""Folders of this process's descriptors. In another process, the same path means something else."""


class Unsplittable(NamedTuple):
    """An input that can only be read once, as it comes: standard input, an inherited descriptor, a pipe, a device, a
    file of /proc.

    fd: the descriptor; None if `name` has to be opened.
    """

    name: str
    fd: int | None = None

    @property
    def suffixed(self) -> str:
        return self.name

    def check(self) -> None:
        """Raises OSError, with a message, if it can't be read."""
        if self.fd is None:
            if not os.access(self.name, os.R_OK):
                raise PermissionError(f"{self.name} can't be read: permission denied")
        elif self.fd:
            _check_descriptor(self.name, self.fd)

    def opened(self) -> int:
        """A new descriptor to read from, or 0. Doesn't wait for a pipe without a writer."""
        if self.fd == 0:
            return 0
        if self.fd is not None:
            return os.dup(self.fd)
        return os.open(self.name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)


def unsplittable(paths: Paths) -> Unsplittable | None:
    """The input, if it is a single path that doesn't lead to a regular file, which could be read again anywhere."""
    path = paths[0] if isinstance(paths, list) and len(paths) == 1 else paths
    if not isinstance(path, Path):
        return None
    if path == STDIN:
        return Unsplittable("stdin", 0)
    if (own := _own_descriptor(path)) is not None:
        return Unsplittable(str(path), own)
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(found.st_mode):
        return Unsplittable(str(path)) if _size_is_untrue(str(path), found) else None
    return None if stat.S_ISDIR(found.st_mode) or stat.S_ISSOCK(found.st_mode) else Unsplittable(str(path))


def _own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that a path leads to, also through links."""
    for _ in range(LINKS):
        name, folder = path.name, os.path.realpath(path.parent)
        if _OWN.fullmatch(folder) or _OWN.fullmatch(str(path.parent)):
            return int(name) if name.isdecimal() and len(name) < 10 else None
        if str(path) in ("/dev/stdin", "/dev/stdout", "/dev/stderr"):
            return ("in", "out", "err").index(name[3:])
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _check_descriptor(name: str, fd: int) -> None:
    try:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        raise FileNotFoundError(f"{name}: descriptor {fd} isn't open") from None
    # Python opens its own descriptors as not inheritable, so one that is inheritable was handed to this process.
    if fd > 2 and not os.get_inheritable(fd):
        raise FileNotFoundError(f"{name}: descriptor {fd} was not handed to this process")
    if mode == os.O_WRONLY or fd in (1, 2):
        raise PermissionError(f"{name}: descriptor {fd} is for writing")
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        raise IsADirectoryError(f"{name} is a folder")


def _size_is_untrue(name: str, found: os.stat_result) -> bool:
    """Whether a file doesn't hold as many bytes as its size says, as in /proc and /sys."""
    if found.st_size and found.st_blocks:
        return False
    try:
        with open(name, "rb", buffering=0) as file:
            if not found.st_size:
                return file.read(1) != b""
            # Any other file without blocks is a hole, and the last byte of a hole can be read.
            file.seek(found.st_size - 1)
            return file.read(1) == b""
    except OSError:
        return False


def find_all(paths: Paths, options: StorageOptions | None) -> list[AnyFile]:
    """The same as `find`, for paths of which some may be addresses. options: of their file systems."""
    listed = paths if isinstance(paths, list) else [paths]
    if not any(isinstance(path, Address) for path in listed):
        return [*find([path for path in listed if isinstance(path, Path)])]
    from stagerunner_parts.remote.files import find as find_remote  # only for these

    found = (find_remote(path, options) if isinstance(path, Address) else find(path) for path in listed)
    return list({file.name: file for files in found for file in files}.values())


def find(paths: Path | list[Path], *, whole: bool = False) -> list[InputFile]:
    """The files that paths and globs lead to, each once, in the given order; those of a glob are sorted by name.

    whole: files are read at once, so their size needn't be right. Raises OSError, with a message, if there are none or
    one can't be read.
    """
    named = paths if isinstance(paths, list) else [paths]
    return [_looked_at(name, whole) for name in dict.fromkeys(name for path in named for name in _names(path))]


def remaining(files: Iterable[AnyFile], after: Any) -> list[tuple[AnyFile, int]]:
    """The files still to be read, and the offset at which to start. `after`: [name, offset, …]; None for all."""
    if after is None:
        return [(file, 0) for file in files]
    name, offset = after[:2]
    left = list(dropwhile(lambda file: file.name != name, files))
    if not left:
        raise FileNotFoundError(f"the run stopped in {name}, which is no longer a file of the source")
    return [(left[0], offset), *((file, 0) for file in left[1:])]


def _names(path: Path) -> list[str]:
    if path.exists() or not glob.has_magic(str(path)):
        return [str(path)]
    folder = _literal(path)
    # Unlike Path.glob, glob.glob skips files whose names begin with a dot.
    found = glob.glob(  # noqa: PTH207
        str(path.relative_to(folder)), root_dir=folder, recursive=True
    )
    names = sorted(str(folder / name) for name in found if (folder / name).is_file())
    if not names:
        raise FileNotFoundError(f"no file matches {path}")
    return names


def _literal(path: Path) -> Path:
    """The beginning of a glob that exists literally: a folder may be called "[old]"."""
    return next(parent for parent in path.parents if parent.exists() or not glob.has_magic(str(parent)))


def _looked_at(name: str, whole: bool) -> InputFile:
    try:
        found = Path(name).stat()
    except FileNotFoundError:
        raise FileNotFoundError(_missing(name)) from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{name} is a folder; write {name.rstrip('/')}/* for the files in it")
    if stat.S_ISSOCK(found.st_mode):
        raise OSError(
            f"{name} is a socket; connect to it with another program and pipe its data in, with - as the path"
        )
    if not stat.S_ISREG(found.st_mode):
        raise OSError(
            f"{name} is {_sort(found.st_mode)}, not a file; give it as the only path, or pipe it in with - as the path"
        )
    if not os.access(name, os.R_OK):
        raise PermissionError(f"{name} can't be read: permission denied")
    if not whole and _size_is_untrue(name, found):
        raise OSError(
            f"{name} doesn't have the size that it reports; give it as the only path, and it is read to its end"
        )
    return InputFile(name, found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)


def _missing(name: str) -> str:
    if Path(name).is_symlink():
        return f"there is no file {name}: it is a link to {Path(name).readlink()}, which isn't there"
    return f"there is no file {name}"


def _sort(mode: int) -> str:
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"
