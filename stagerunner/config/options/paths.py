"""Where a path that is written in a config leads."""

from __future__ import annotations

import os
from pathlib import Path


def standing(base: Path, text: str) -> Path:
    """Where a path leads that is written in a file of this folder, without `..` where that leads to the same place."""
    path = base / at_home(text)
    if ".." not in path.parts:
        return path
    short = Path(os.path.normpath(path))
    return short if os.path.realpath(short) == os.path.realpath(path) else path


def at_home(text: str) -> str:
    """The text with somebody's folder in the place of a `~` at its beginning, as a shell has it."""
    return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111  (Path's raises for no such user)


def is_homeless(text: str) -> bool:
    """Whether it begins with a `~` that stands for nobody: to take it as it is would make a folder of that name."""
    return text.startswith("~") and at_home(text) == text


HOMELESS = "there is no such user as its ~ stands for"
"""Why such a path is refused."""
