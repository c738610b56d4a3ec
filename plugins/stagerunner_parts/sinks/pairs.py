"""Pairs of bytes as one body: what each is for, and its content. Bodies may be joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

SIZES = Struct(">II")
"""In front of each pair: how many bytes its two halves have."""


def join(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([part for one, two in pairs for part in (SIZES.pack(len(one), len(two)), one, two)])


def pairs_in(data: bytes | memoryview) -> Iterator[tuple[memoryview, memoryview]]:
    """The pairs of a body, not copied."""
    view, at = memoryview(data), 0
    while at < len(view):
        one, two = SIZES.unpack_from(view, at)
        at += SIZES.size
        yield view[at : at + one], view[at + one : at + one + two]
        at += one + two
