"""Commands of taps and targets: how they are written, found, and given files that leave nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any


def words(command: str | list[str]) -> list[str]:
    """The command as its words. Raises ValueError if there are none, or no such program."""
    found = shlex.split(command) if isinstance(command, str) else list(command)
    if not found:
        raise ValueError("`command` is empty")
    if shutil.which(found[0]) is None:
        raise ValueError(f"there is no program {found[0]!r}; write its path, as venvs/tap/bin/{Path(found[0]).name}")
    return found


class GivenFiles:
    """Files for a child process that exist as long as it does: nobody else reads them, and none is left behind."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def flag(self, name: str, content: Any) -> list[str]:
        """`--name PATH` for a file with this content: a path as it is, data as JSON; nothing for None."""
        if content is None:
            return []
        if isinstance(content, Path):
            return [f"--{name}", str(content)]
        fd = os.memfd_create(name, 0)
        os.write(fd, json.dumps(content).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        self.descriptors.append(fd)
        return [f"--{name}", f"/proc/self/fd/{fd}"]

    def close(self) -> None:
        """Close our ends; the child has its own."""
        while self.descriptors:
            os.close(self.descriptors.pop())
