"""What the path of an output leads to, and whether it can be written: checks before the run starts.

Links are followed by hand, because the system resolves `/dev/stdout` to the file or pipe behind standard output, and
for a config it means standard output itself.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

LINKS = 40
"""After so many links it is taken for a circle, as the system does."""

BESIDE = len("..stagerunner-journal")
"""How many characters the longest name beside an output has more than the output's own name."""

STREAMS = (stat.S_ISFIFO, stat.S_ISCHR)


def resolved(path: Path) -> Path | int:
    """What a path leads to: a file, which may not exist yet, or the number of an open descriptor.

    Raises OSError for links that lead in a circle.
    """
    place = path
    for _ in range(LINKS):
        if place.name in ("", ".."):
            return Path(os.path.realpath(place))
        place = Path(os.path.realpath(place.parent), place.name)
        if (number := _descriptor(place)) is not None:
            return number
        if not place.is_symlink():
            return place
        target = place.parent / place.readlink()
        if place.exists() and not target.exists():
            return place  # only the system can follow links in /proc
        place = target
    raise OSError(f"{path} is a link that leads in a circle")


def _descriptor(place: Path) -> int | None:
    found = re.fullmatch(rf"(?:/dev|/proc/{os.getpid()}(?:/task/\d+)?)/fd/(\d+)", str(place))
    return int(found[1]) if found else None


def is_stream(path: Path) -> bool:
    """Whether it is a named pipe, a terminal or the like, which can't be renamed or truncated."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return any(sort(mode) for sort in STREAMS)


def check_descriptor(number: int) -> None:
    """Raises OSError, with a message, if this descriptor can't be written to."""
    import fcntl

    try:
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        given = number < 3 or os.get_inheritable(number)
    except OSError:
        given = False
    if not given:
        raise OSError(f"descriptor {number} was not handed to this program")
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(f"descriptor {number} can only be read")


def check_target(named: Path, path: Path, *, in_place: bool) -> None:
    """Raises OSError, with a message, if no file can be written there. Missing folders are fine: they will be made.

    named: the path as the config has it, for the message. path: what that leads to. in_place: the file is written
    itself and not replaced by another.
    """
    found = _stat(path)
    if found is not None:
        _check_file(named, path, found, in_place=in_place)
    folder = next(parent for parent in path.parents if _stat(parent) is not None)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder, so {named} can't be in it")
    if len(os.fsencode(path.name)) + BESIDE > os.pathconf(folder, "PC_NAME_MAX"):
        raise OSError(f"{named} has too long a name: the files beside it need {BESIDE} characters more")
    if (not in_place or found is None) and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{named} can't be written: {_why_not(folder)}")


def _stat(path: Path) -> os.stat_result | None:
    """None if nothing is there. Raises OSError, with a message, if that can't be determined."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise OSError(f"{path} can't be written: {getattr(error, 'strerror', None) or error}") from None


def _check_file(named: Path, path: Path, found: os.stat_result, *, in_place: bool) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{named} is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{named} is {_sort(found.st_mode)}, so no file can be written there")
    if in_place:
        if not os.access(path, os.W_OK):
            raise PermissionError(f"{named} can't be written: {_why_not(path)}")
    elif is_mounted(path):
        raise OSError(f"{named} is mounted, so no other file can replace it: mount its folder, or use mode `append`")
    elif _is_kept_by_others(path, found):
        raise PermissionError(f"{named} can't be replaced: in {path.parent} only its owner may do so")


def _sort(mode: int) -> str:
    sorts = {stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a disk", stat.S_IFIFO: "a named pipe", stat.S_IFCHR: "a device"}
    return sorts.get(stat.S_IFMT(mode), "no file")


def _why_not(path: Path) -> str:
    read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if read_only else errno.EACCES).lower()


def _is_kept_by_others(path: Path, found: os.stat_result) -> bool:
    """Whether it is another user's file in a folder like /tmp, where only owners may rename or remove files."""
    folder = path.parent.stat()
    mine = os.geteuid() in (0, found.st_uid, folder.st_uid)
    return bool(folder.st_mode & stat.S_ISVTX) and not mine


def is_mounted(path: Path) -> bool:
    """Whether this single file is a mount point, as in containers."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return path.stat().st_dev != path.parent.stat().st_dev
    points = (line.split(b" ")[4] for line in mounts.splitlines())
    return os.fsencode(path) in map(_unescaped, points)


def _unescaped(name: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), name)
