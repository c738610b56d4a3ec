"""Progress for programs: a JSON object a line."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stagerunner.events import Progress
from stagerunner.views.plain import Silent


class Json(Silent):
    """Every Progress event, in the words of the summary."""

    def progress(self, event: Progress) -> None:
        told = asdict(event)
        stages = [_worded(stage) for stage in told.pop("stages")]
        self.line(self.console.json({"event": "progress", **_worded(told), "stages": stages}))


def _worded(fields: dict[str, Any]) -> dict[str, Any]:
    """What was taken is called `in`, as in the summary."""
    return {"in" if name == "taken" else name: value for name, value in fields.items()}
