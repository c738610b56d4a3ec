"""Control messages that may be longer than a control frame: READY, and the END of a source process.

`send_pieces` cuts a message into frames, each written whole or not at all; `ControlMessage` puts it together again.
"""

from __future__ import annotations

from stagerunner.records import KINDS
from stagerunner.wire.frame import CONTROL, MORE, BadFrame, Frame, Header
from stagerunner.wire.pipe import send


def send_pieces(fd: int, header: Header, data: bytes) -> None:
    """Write a control message in as many frames as it needs, waiting as long as it takes."""
    for number, start in enumerate(range(0, max(1, len(data)), CONTROL)):
        more = MORE if start + CONTROL < len(data) else 0
        send(fd, header._replace(piece=number, flags=more), data[start : start + CONTROL])


class ControlMessage:
    """A message of one kind, put together from its frames."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self.data = bytearray()
        self.whole = False

    def add(self, frame: Frame) -> bool:
        """Add the next piece. Returns whether the message is complete. Raises BadFrame for a frame of another kind."""
        if frame.header.kind != self._kind:
            raise BadFrame(f"{KINDS.get(frame.header.kind, 'a frame')} where {KINDS[self._kind]} was due")
        self.data += frame.payload
        self.whole = not frame.header.more
        return self.whole
