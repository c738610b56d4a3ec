"""Where a path that is written in a config leads."""

from __future__ import annotations

import os
from pathlib import Path


def resolve_path(base: Path, text: str) -> Path:
    """The path, relative to the folder `base`, without `..` unless a symbolic link makes that another place."""
    path = base / expand_user(text)
    if ".." not in path.parts:
        return path
    short = Path(os.path.normpath(path))
    return short if os.path.realpath(short) == os.path.realpath(path) else path


def expand_user(text: str) -> str:
    """The text with a `~` at its beginning replaced by the home folder, as a shell does it."""
    return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111  (Path's raises for no such user)


def has_unknown_user(text: str) -> bool:
    """Whether it begins with a `~` for a user that doesn't exist. Taken literally, it would name a new folder."""
    return text.startswith("~") and expand_user(text) == text


UNKNOWN_USER = "its ~ names a user that doesn't exist"
"""Why such a path is refused."""
