"""Stages that let part of the records through."""

from __future__ import annotations

from typing import Any

from stagerunner import enough, stage
from stagerunner_parts.digests import digest


class Share(float):
    """A number from 0 to 1."""

    @classmethod
    def parse(cls, text: str) -> Share:
        """Raises ValueError if it isn't one."""
        try:
            share = cls(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        if not 0 <= share <= 1:
            raise ValueError(f"{text} is not between 0 and 1")
        return share


class Count(int):
    """A whole number that is not negative."""

    @classmethod
    def parse(cls, text: str) -> Count:
        """Raises ValueError if it isn't one."""
        if not text.isdecimal():
            raise ValueError(f"{text!r} is not a whole number from 0 on")
        return cls(text)


@stage(pure=True)
def sample(record: Any, *, rate: Share, seed: int = 0) -> Any | None:
    """Keep a share of the records, the same ones in every run.

    A record's content decides, so equal records are all kept or all left out.

    rate: the share to keep, from 0 to 1.
    seed: a number; each one selects other records.
    """
    drawn = int.from_bytes(digest(record, size=8, key=str(seed).encode()[:64]))
    return record if drawn < rate * 2**64 else None


@stage("take", pure=True)
class Take:
    """Take the first records, then end the run.

    n: how many records.
    """

    def __init__(self, *, n: Count) -> None:
        self.n = n
        self._taken = 0

    def process(self, record: Any) -> Any | None:
        if self._taken + 1 >= self.n:
            enough()
        if self._taken >= self.n:
            return None
        self._taken += 1
        return record

    def snapshot(self) -> int:
        return self._taken

    def restore(self, data: int) -> None:
        self._taken = data
