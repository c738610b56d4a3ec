"""The delimiters of tables in text."""

from __future__ import annotations

from pathlib import Path

from stagerunner_parts.compression import plain_suffix


def usual_delimiter(path: str | Path) -> str:
    """The delimiter of a file of this name: a tab if it ends in .tsv, compression aside; else a comma."""
    return "\t" if plain_suffix(path) == ".tsv" else ","


def check_character(name: str, value: str, never: str = "\r\n") -> None:
    """Raises ValueError if the value of this option isn't one ASCII character, or is one of those in `never`."""
    if len(value) != 1 or not value.isascii() or value in never:
        raise ValueError(f"{name} must be one ASCII character, and {value!r} isn't")
