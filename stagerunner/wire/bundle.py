"""Frames one after another in one piece of bytes: what an engine without pipes moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from stagerunner.wire.frame import SIZE, BadFrame, Frame, Header, pack_header, unpack_header

Data: TypeAlias = bytes | bytearray | memoryview


def bundle(frames: Iterable[tuple[Header, Data, Data]]) -> bytes:
    """The frames, each given as header, metadata and body."""
    parts: list[Data] = []
    for header, metadata, body in frames:
        parts += (pack_header(header, len(metadata) + len(body)), metadata, body)
    return b"".join(parts)


def frames_of(data: bytes | memoryview) -> Iterator[Frame]:
    """The frames of a bundle; their payloads are views of it. Raises BadFrame."""
    view, at = memoryview(data), 0
    while at < len(view):
        if at + SIZE > len(view):
            raise BadFrame("a bundle that ends within a header")
        header = unpack_header(view, len(view) - at - SIZE, at)
        at += SIZE
        yield Frame(header, view[at : at + header.length])
        at += header.length
