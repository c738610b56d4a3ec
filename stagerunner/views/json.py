"""Progress for programs: a JSON object a line."""

from __future__ import annotations

from dataclasses import asdict

from stagerunner.events import Progress
from stagerunner.views.plain import Silent


class Json(Silent):
    """Every Progress event as it is."""

    def progress(self, event: Progress) -> None:
        self.line(self.console.json({"event": "progress", **asdict(event)}))
