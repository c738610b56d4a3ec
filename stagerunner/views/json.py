"""Progress for programs: a JSON object a line."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from stagerunner.events import Progress
from stagerunner.views.plain import Silent


class Json(Silent):
    """Every Progress event, in the words of the summary."""

    def progress(self, event: Progress) -> None:
        stages = [_worded(asdict(stage)) for stage in event.stages]
        self.line(self.console.json({"event": "progress", **_worded(asdict(event)), "stages": stages}))


def _worded(fields: dict[str, Any]) -> dict[str, Any]:
    """What was taken is called `in`, as in the summary."""
    return {"in" if name == "taken" else name: value for name, value in fields.items()}
