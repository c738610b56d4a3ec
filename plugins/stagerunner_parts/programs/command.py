"""The command of a stage: what is run, and where its program is."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SHELL = "/bin/sh"

_OF_A_SHELL = frozenset(("|", "||", "&&", "&", ";"))
_REDIRECTIONS = ("<", ">", "2>", "&>")


class Command(NamedTuple):
    """A program and its arguments. name: as messages call it."""

    words: tuple[str, ...]
    name: str

    def found(self, environment: Mapping[str, str]) -> Command:
        """The same with the path of the program. Raises ValueError as `find` does."""
        return self._replace(words=(find(self.words[0], environment), *self.words[1:]))


def command_of(command: str | list[str], *, shell: bool) -> Command:
    """The command as it is written. Raises ValueError if it is none."""
    if shell:
        if not isinstance(command, str):
            raise ValueError("with `shell: true`, `command` is one text, which the shell reads")
        words = [SHELL, "-c", command]
    else:
        words = _words(command) if isinstance(command, str) else list(command)
    if not words or not words[0].strip() or (shell and not words[-1].strip()):
        raise ValueError("`command` is empty: write the program and its arguments")
    if any("\0" in word for word in words):
        raise ValueError("`command` has a NUL in it, which no argument can hold")
    return Command(tuple(words), "the shell" if shell else words[0])


def _words(command: str) -> list[str]:
    """The words of a text; quotes and backslashes keep them together, as in a shell."""
    try:
        words = shlex.split(command)
    except ValueError as why:
        raise ValueError(f"`command` can't be split into words: {why}") from None
    for word in words:
        if word in _OF_A_SHELL or word.startswith(_REDIRECTIONS):
            advice = "add `shell: true`; if it is an argument, write `command` as a list"
            raise ValueError(f"`command` has {word!r} in it, which only a shell understands; {advice}")
    return words


def find(program: str, environment: Mapping[str, str]) -> str:
    """The path of the program: as it is written if it has a slash in it, else from PATH.

    environment: of the process that will run it. Raises ValueError, saying where it was looked for.
    """
    if "/" in program:
        return _at_path(program)
    path = environment.get("PATH", os.defpath)
    found = shutil.which(program, path=path)
    if found is None:
        raise ValueError(f"there is no program {program!r} in {path}{_beside(program)}")
    return found


def _at_path(program: str) -> str:
    path = Path(program)
    here = "" if path.is_absolute() else f", looked for in {Path.cwd()}"
    if not path.exists():
        raise ValueError(f"there is no program {program!r}{here}")
    if not path.is_file():
        raise ValueError(f"{program!r} isn't a program: it is a folder or a device{here}")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{program!r} may not be executed{here}; `chmod +x` allows it")
    return program


def _beside(program: str) -> str:
    """Advice if it lies in the current folder, where a shell doesn't look either."""
    return f"; for the file in the current folder write ./{program}" if Path(program).is_file() else ""
