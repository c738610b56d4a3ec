"""Whom the next frame goes to. Frame s is dealt to worker s mod N, and that is never left: who has enough to do is sent
a blank in its turn, so that the frame behind it goes to a neighbour who has less.

So order needs no memory in workers and nobody has to be asked, yet a worker that got the long records, or half a core,
keeps nobody waiting. A blank costs each worker it passes some 20 µs, so only frames that last are dealt this way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

WORTH = 1e6
"""Nanoseconds a frame should last to be worth a blank."""

AHEAD = 2
"""Frames more than a neighbour's that a worker has waiting before it is passed over: less is the usual to and fro."""

FEW = 3
"""Frames waiting, below which a worker may have nothing to do before the parent has seen to it."""

DEEP = 24
"""Frames per worker that may be on their way while one of them has few waiting: the others' results are held until the
frame of the one that is late has come back."""


class Dealing:
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

    # begun: the latest sequence each worker has begun.

    def idle_soon(self, begun: Sequence[int]) -> bool:
        """Whether somebody has few frames waiting."""
        return min(self._waiting(begun)) < FEW

    def blanks(self, sequence: int, begun: Sequence[int]) -> int:
        """How many sequences from this one on should be blanks."""
        waiting = self._waiting(begun)
        most = min(waiting) + AHEAD
        blanks = 0
        while waiting[(sequence + blanks) % len(waiting)] >= most:
            blanks += 1
        return blanks

    def _waiting(self, begun: Sequence[int]) -> list[int]:
        """How many frames each worker has still to begin."""
        for hand, latest in zip(self._hands, begun, strict=True):
            while hand and hand[0] <= latest:
                hand.popleft()
        return [len(hand) for hand in self._hands]
