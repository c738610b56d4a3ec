"""A new file gets the mode, owner and attributes of the file that it replaces, and never wider permissions."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

ACL = "system.posix_acl_access"
"""The attribute in which Linux stores the access control list."""

SPECIAL = stat.S_ISUID | stat.S_ISGID


def copy_permissions(file: int, other: Path) -> None:
    """Copy mode, owner and attributes to the open file, as far as the system allows.

    Raises OSError if the other file is gone.
    """
    wanted = other.stat()
    _own(file, wanted)
    got = os.fstat(file)
    mode = stat.S_IMODE(wanted.st_mode)
    if got.st_uid != wanted.st_uid:
        mode &= ~SPECIAL
    same_entries = _copy_attributes(file, other)
    if got.st_gid != wanted.st_gid or not same_entries:
        mode &= ~(stat.S_IRWXG | SPECIAL) | (mode & stat.S_IRWXO) << 3  # no more for the group than for others
    os.fchmod(file, mode)


def _own(file: int, wanted: os.stat_result) -> None:
    if (wanted.st_uid, wanted.st_gid) == (os.fstat(file).st_uid, os.fstat(file).st_gid):
        return
    try:
        os.fchown(file, wanted.st_uid, wanted.st_gid)
    except OSError:
        with suppress(OSError):
            os.fchown(file, -1, wanted.st_gid)


def _copy_attributes(file: int, other: Path) -> bool:
    """Copy extended attributes. False if the access control list couldn't be made the same."""
    if not hasattr(os, "listxattr"):
        return True
    try:
        theirs, ours = set(os.listxattr(other)), set(os.listxattr(file))
    except OSError:
        return True  # a file system without attributes
    for name in theirs - {ACL}:
        with suppress(OSError):
            os.setxattr(file, name, os.getxattr(other, name))
    try:
        if ACL in theirs:
            os.setxattr(file, ACL, os.getxattr(other, ACL))
        elif ACL in ours:  # inherited from its folder
            os.removexattr(file, ACL)
    except OSError:
        return False
    return True
