"""From the window's decision to the link: a frame with its notes, in a place of the memory lane if it gets one."""

from __future__ import annotations

import pickle

from stagerunner.engines.base import Transport
from stagerunner.runtime.blocks import Places
from stagerunner.window.core import Window
from stagerunner.window.kinds import BARRIER, DATA
from stagerunner.window.splits import Sent
from stagerunner.wire.frame import MARKED, Header
from stagerunner.wire.metadata import Notes, pack_notes

NO_SNAPSHOTS = pickle.dumps({}, 5)

EMPTY_NOTES = pack_notes(Notes())


class Sending:
    """What goes out, frame by frame, in the window's epoch."""

    def __init__(self, window: Window, transport: Transport, places: Places) -> None:
        self._window = window
        self._transport = transport
        self._places = places

    def send(self, sent: Sent) -> None:
        kept = sent.split
        number = 0 if kept is None else kept.number
        flags = MARKED if sent.marked else 0
        header = Header(sent.kind, flags, self._window.epoch, sent.sequence, number, sent.first, sent.last)
        if kept is None:
            self._transport.send(header, EMPTY_NOTES, NO_SNAPSHOTS if sent.kind == BARRIER else b"")
            return
        if not kept.convicted and not self._places.wanted(kept.payload):
            self._transport.send(header, EMPTY_NOTES, kept.payload)  # the usual frame: there is nothing to say
            return
        notes = Notes(convicted=kept.convicted)
        body = self._places.outgoing(sent, kept.payload, notes) if sent.kind == DATA else kept.payload
        self._transport.send(header, pack_notes(notes), body)

    def end(self) -> None:
        """END, behind everything sent so far in this epoch."""
        self._transport.end(self._window.last_sequence + 1)
