"""Encodings: which of them a source can cut into records, and what is wrong with bytes that can't be decoded."""

from __future__ import annotations

import codecs
from contextlib import suppress

from stagerunner import Malformed


def plain(encoding: str) -> str:
    """The encoding without a byte order mark, which every source removes itself."""
    return "utf-8" if encoding.lower().replace("_", "-") == "utf-8-sig" else encoding


def check_encoding(encoding: str, marks: str = "") -> None:
    """Raises ValueError if there is no such encoding, or if files in it can't be cut into records.

    marks: characters, besides the newline, that a source searches for in the bytes.
    """
    try:
        encoder = codecs.lookup(encoding).incrementalencoder()
        plain = "\n".encode(encoding) == b"\n"
    except (LookupError, UnicodeError, TypeError):
        raise ValueError(f"there is no encoding {encoding!r}") from None
    if not plain or _shifts(encoder) or codecs.lookup(encoding).name in NEVER:
        raise ValueError(f"a file in {encoding} can't be cut at newlines; convert it to UTF-8 first")
    for mark in marks:
        if any(_is_character(bytes([lead, ord(mark)]), encoding) for lead in range(0x80, 0x100)):
            raise ValueError(f"in {encoding} {mark!r} may be part of another character; convert it to UTF-8 first")


NEVER = ("utf-7", "idna", "punycode", "raw-unicode-escape", "unicode-escape")
"""UTF-7, whose codec doesn't show that it has shift states, and encodings of names and source code."""

LETTERS = "éΔЖ中あ가"
"""Letters of several scripts, to make a codec shift."""


def _shifts(encoder: codecs.IncrementalEncoder) -> bool:
    """Whether the encoding has shift states. Then bytes depend on earlier ones, and a file can't be cut."""
    for letter in LETTERS:
        with suppress(UnicodeError):
            encoder.encode(letter)
        if encoder.getstate():
            return True
    return False


def _is_character(pair: bytes, encoding: str) -> bool:
    try:
        return len(pair.decode(encoding)) == 1
    except UnicodeError:
        return False


def no_characters(raw: bytes, encoding: str = "utf-8") -> Malformed | None:
    """What is wrong with bytes that can't be decoded; None if they can. In our own words, the same on every Python."""
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        why = f"the byte 0x{raw[error.start]:02x} at offset {error.start} of the record is not {name}"
        return Malformed("UnicodeDecodeError", why, raw)
    return None
