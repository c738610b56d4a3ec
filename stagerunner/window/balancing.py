"""Balancing: frame s always goes to worker s mod N; a busy worker gets an empty frame (a skip frame), so that the next
one reaches an idle worker.

Order needs no reorder buffer in workers, and a worker with long records or half a core holds up nothing. A skip frame
costs each worker that it passes about 30 µs, so only slow frames are balanced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

SLOW = 5e6
"""Nanoseconds from which on a frame is balanced: shorter ones even out by themselves."""

WORTH = 1e6
"""Nanoseconds that a frame should last for each skip frame in front of it."""

AHEAD = 2
"""A worker is passed over if it has so many more frames waiting than another one: less is the usual variation."""

FEW = 3
"""With fewer frames waiting, a worker may be idle before the parent sends the next one. So it does, and of what waits
behind a late frame of another worker only the bytes count, and 1 KiB for each frame."""


class Balancing:
    """The frames each worker of the widest group has in hand, from the sequences sent and those begun."""

    def __init__(self, workers: int) -> None:
        self._hands: list[deque[int]] = [deque() for _ in range(workers)]

    def begin(self) -> None:
        """A new epoch: no worker has a frame."""
        for hand in self._hands:
            hand.clear()

    def sent(self, sequence: int) -> None:
        """This sequence is a frame with records."""
        self._hands[sequence % len(self._hands)].append(sequence)

    def back(self, sequence: int) -> None:
        """This frame, and all before it, has come back."""
        _drop(self._hands[sequence % len(self._hands)], sequence)

    # begun: the latest sequence each worker has begun.

    def idle_soon(self, begun: Sequence[int]) -> bool:
        """Whether some worker has few frames waiting."""
        return min(self._waiting(begun)) < FEW

    def skips(self, sequence: int, begun: Sequence[int], most: int) -> int:
        """How many sequences from this one on should be skip frames; 0 if it would take more than `most`."""
        waiting = self._waiting(begun)
        enough = min(waiting) + AHEAD
        turns = (waiting[(sequence + skips) % len(waiting)] for skips in range(most + 1))
        return next((skips for skips, frames in enumerate(turns) if frames < enough), 0)

    def _waiting(self, begun: Sequence[int]) -> list[int]:
        """How many frames each worker has not begun yet."""
        for hand, latest in zip(self._hands, begun, strict=True):
            _drop(hand, latest)
        return [len(hand) for hand in self._hands]


def _drop(hand: deque[int], latest: int) -> None:
    while hand and hand[0] <= latest:
        hand.popleft()
