from __future__ import annotations

import json
from types import SimpleNamespace

from stagerunner.events import Progress, StageTotals
from stagerunner.views.json import Json


def test_each_progress_is_one_object(console, stream):
    view = Json(console, SimpleNamespace(name="logs"))
    view.progress(Progress(1.5, 10, 9, 1, 100, 200, (StageTotals("parse", taken=10),)))
    told = json.loads(stream.getvalue())
    assert (told["event"], told["in"], told["bytes_total"], told["stages"][0]["name"]) == (
        "progress",
        10,
        200,
        "parse",
    )
