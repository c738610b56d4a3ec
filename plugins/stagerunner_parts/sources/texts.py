"""Characters: encodings that a source can cut, and bytes that are no characters."""

from __future__ import annotations

from stagerunner import Malformed


def check_encoding(encoding: str) -> None:
    """Raises ValueError when there is no such encoding, or its newline isn't the one byte files are cut at."""
    try:
        newline = "\n".encode(encoding)
    except LookupError:
        raise ValueError(f"there is no encoding {encoding!r}") from None
    if newline != b"\n":
        raise ValueError(f"a file in {encoding} can't be cut at newlines; make it UTF-8 first")


def no_characters(raw: bytes, encoding: str = "utf-8") -> Malformed | None:
    """What is wrong with bytes that can't be decoded, in words of our own; None when they can."""
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        why = f"the byte 0x{raw[error.start]:02x} at offset {error.start} of the record is not {name}"
        return Malformed("UnicodeDecodeError", why, raw)
    return None
