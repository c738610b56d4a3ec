from __future__ import annotations

import io
from pathlib import Path

from stagerunner.api import prepare
from stagerunner.cli.planned import show_plan
from stagerunner.views.console import Console


def test_the_plan_lists_source_stages_and_sink(chain):
    text = io.StringIO()
    file = chain("text.strip", "{use: './parts.py:same', workers: 3}", dead_letter="dead.jsonl")
    show_plan(prepare(Path(file)).plan, Console(text))
    lines = text.getvalue().splitlines()
    assert lines[0] == "chain: 4 workers, engine process; nothing is started"
    assert [line.split()[0] for line in lines[2:6]] == ["source", "stage", "stage", "sink"]
    assert "3  fail" in lines[4]
    assert any(line.startswith("dead letters: ") for line in lines)
