"""A stage with state: its constructor's keyword arguments are its options."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from stagerunner import stage


@stage
class Visits:
    """Gather the requests of each user into visits.

    pause: a visit ends when its user has been silent for so long.
    """

    def __init__(self, *, pause: timedelta) -> None:
        self._pause = pause.total_seconds()
        self._open: dict[str, list[float]] = {}

    def process(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        user, now = request["user"], request["time"].timestamp()
        visit = self._open.get(user)
        if visit is not None and now - visit[1] > self._pause:
            yield _told(user, self._open.pop(user))
            visit = None
        if visit is None:
            visit = self._open[user] = [now, now, 0]
        visit[1:] = now, visit[2] + 1

    def flush(self) -> Iterator[dict[str, Any]]:
        """The source has ended, so all visits have."""
        for user, visit in sorted(self._open.items()):
            yield _told(user, visit)

    def snapshot(self) -> dict[str, list[float]]:
        """What is remembered, as plain data."""
        return self._open

    def restore(self, data: dict[str, list[float]]) -> None:
        self._open = data


def _told(user: str, visit: list[float]) -> dict[str, Any]:
    begun, ended, requests = visit
    return {
        "user": user,
        "begun": datetime.fromtimestamp(begun, UTC),
        "seconds": int(ended - begun),
        "requests": int(requests),
    }
