"""Whom the next frame goes to. Frame s is dealt to worker s mod N, and that is never left: who has enough to do is sent
a skip frame in its turn, so that the frame behind it goes to a neighbour who has less.

So order needs no memory in workers and nobody has to be asked, yet a worker that got the long records, or half a core,
keeps nobody waiting. A skip frame costs every worker it passes some 30 µs, so only slow frames are dealt this way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

SLOW = 5e6
"""Nanoseconds from which on a frame is dealt by load: a few quicker ones more or less idle nobody for long."""

WORTH = 1e6
"""Nanoseconds it should last for each blank in front of it."""

AHEAD = 2
"""Frames more than a neighbour's that a worker has waiting before it is passed over: less is the usual to and fro."""

FEW = 3
"""Frames waiting, below which a worker may have nothing to do before the parent has seen to it."""

DEEP = 24
"""Frames per worker that may be on their way while one of them has few waiting: the others' results are held until the
frame of the one that is late has come back."""


class Balancing:
    """The frames each worker of the widest group has in hand, from the sequences sent and those begun."""

    def __init__(self, workers: int) -> None:
        self._hands: list[deque[int]] = [deque() for _ in range(workers)]

    def begin(self) -> None:
        """A new epoch: nothing is in anybody's hand."""
        for hand in self._hands:
            hand.clear()

    def sent(self, sequence: int) -> None:
        """This sequence is a frame, no blank."""
        self._hands[sequence % len(self._hands)].append(sequence)

    def back(self, sequence: int) -> None:
        """This frame, and all before it, has come back."""
        _drop(self._hands[sequence % len(self._hands)], sequence)

    # begun: the latest sequence each worker has begun.

    def idle_soon(self, begun: Sequence[int]) -> bool:
        """Whether somebody has few frames waiting."""
        return min(self._waiting(begun)) < FEW

    def skips(self, sequence: int, begun: Sequence[int], most: int) -> int:
        """How many sequences from this one on should be skip frames; none if it would have to be more than `most`."""
        waiting = self._waiting(begun)
        enough = min(waiting) + AHEAD
        turns = (waiting[(sequence + skips) % len(waiting)] for skips in range(most + 1))
        return next((skips for skips, frames in enumerate(turns) if frames < enough), 0)

    def _waiting(self, begun: Sequence[int]) -> list[int]:
        """How many frames each worker has still to begin."""
        for hand, latest in zip(self._hands, begun, strict=True):
            _drop(hand, latest)
        return [len(hand) for hand in self._hands]


def _drop(hand: deque[int], latest: int) -> None:
    while hand and hand[0] <= latest:
        hand.popleft()
