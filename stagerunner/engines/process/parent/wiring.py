"""The links of an epoch: one-way pipes between neighbours, duplex ones back to the parent."""

from __future__ import annotations

import itertools
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from msgspec import Struct, field

from stagerunner.engines.topology import pairs
from stagerunner.wire.pipe import widen

Key = tuple[int, int, int]
"""(group, worker written from, worker read by); for the writing end the group that writes, -1 for the parent."""


class Wiring(Struct):
    """All ends. reading, writing: by Key. heads, returns: the ends that stay ours. theirs: those that go to workers."""

    reading: dict[Key, Connection] = field(default_factory=dict)
    writing: dict[Key, Connection] = field(default_factory=dict)
    heads: list[Connection] = field(default_factory=list)
    returns: list[Connection] = field(default_factory=list)
    theirs: list[Connection] = field(default_factory=list)


def wire(widths: list[int]) -> Wiring:
    """Links for groups of these widths, the parent (1) first and last."""
    wiring = Wiring()
    for place, (upstream, downstream) in enumerate(itertools.pairwise(widths)):
        for up, down in pairs(upstream, downstream):
            _link(wiring, (place, up, down), first=place == 0, last=place == len(widths) - 2)
    return wiring


def _link(wiring: Wiring, key: Key, *, first: bool, last: bool) -> None:
    place, up, down = key
    reader, writer = Pipe(duplex=last)
    wiring.reading[key], wiring.writing[place - 1, up, down] = reader, writer
    if not last:
        widen(writer.fileno())
    (wiring.returns if last else wiring.theirs).append(reader)
    (wiring.heads if first else wiring.theirs).append(writer)
