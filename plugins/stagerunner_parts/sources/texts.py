"""Character encodings that a source can cut."""

from __future__ import annotations


def check_encoding(encoding: str) -> None:
    """Raises ValueError when there is no such encoding, or its newline isn't the one byte files are cut at."""
    try:
        newline = "\n".encode(encoding)
    except LookupError:
        raise ValueError(f"there is no encoding {encoding!r}") from None
    if newline != b"\n":
        raise ValueError(f"a file in {encoding} can't be cut at newlines; make it UTF-8 first")
