from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from stagerunner.events import Progress, SinkTotals, StageTotals
from stagerunner.views.live import Dashboard, bar

CODE = """
import sys
from types import SimpleNamespace
from stagerunner.events import Progress, StageTotals
from stagerunner.views.console import Console
from stagerunner.views.live import Live

view = Live(Console(sys.stderr), SimpleNamespace(name="logs"))
view.progress(Progress(1.0, 5, 5, 0, 0, None, (StageTotals("parse", taken=5, out=5, work=1.0),)))
view.line("above the table")
view.close()
"""


def test_on_a_terminal_lines_stay_and_the_table_goes(tmp_path: Path):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen([sys.executable, "-c", CODE], stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = _all_of(ours)
        assert process.wait() == 0
    os.close(ours)
    assert "logs · 0:01 · 5 in" in written
    assert "above the table\r\n" in written
    assert written.rstrip().endswith("\x1b[2K"), "the table is wiped away at the end"


def _all_of(descriptor: int) -> str:
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # the other side of a terminal was closed
            chunk = b""
        if not chunk:
            return b"".join(chunks).decode()
        chunks.append(chunk)


# The table


def progress(seconds: float, taken: int, total: int | None = None) -> Progress:
    busy = StageTotals("hide-people", 4, taken, 0, taken, dead=3, work=seconds * 3.6, wait=seconds * 0.4)
    idle = StageTotals("filter", 1, taken, 0, taken, work=seconds * 0.1, wait=seconds * 0.9)
    return Progress(seconds, taken, taken, 3, taken, total, (busy, idle))


def test_the_headline_has_rate_share_and_time_left():
    dashboard = Dashboard("logs")
    dashboard.add(progress(10.0, 1000, 4000))
    dashboard.add(progress(12.0, 2000, 4000))
    assert dashboard.draw(100)[0] == "logs · 0:12 · 2,000 in · 500/s · 50 % of 4.00 kB · 0:12 left"


def test_a_run_whose_workers_are_not_set_up_is_starting():
    dashboard = Dashboard("logs")
    dashboard.add(progress(2.0, 0, 4000))
    assert dashboard.draw(100)[0] == "logs · 0:02 · starting"
    dashboard.add(replace(progress(3.0, 0, 4000), starting=2.5))
    assert "0 in" in dashboard.draw(100)[0]


def test_the_time_left_leaves_out_the_start():
    dashboard = Dashboard("logs")
    dashboard.add(replace(progress(12.0, 1000, 4000), starting=10.0))
    assert dashboard.draw(100)[0].endswith("25 % of 4.00 kB · 0:06 left")


def test_after_a_resume_rate_and_time_left_are_those_of_this_life():
    dashboard = Dashboard("logs")
    now = progress(10.0, 3000, 4000)
    dashboard.add(replace(now, earlier=2000, bytes_earlier=2000))
    first, *rows = dashboard.draw(120)
    assert first == "logs · 0:10 · 3,000 in · 100/s · 75 % of 4.00 kB · 0:10 left"
    assert [row.split()[4] for row in rows[1:]] == ["–", "–"]


def test_with_a_limit_the_share_is_that_of_the_records_or_of_the_bytes_if_they_end_first():
    dashboard = Dashboard("logs")
    dashboard.add(replace(progress(10.0, 1000, 1_000_000), limit=2000))
    assert dashboard.draw(100)[0].endswith("50 % of 2,000 records · 0:10 left")
    dashboard.add(replace(progress(13.0, 1000, 1250), limit=2000))
    assert dashboard.draw(100)[0].endswith("80 % of 1.25 kB · 0:03 left")


def test_without_a_known_size_nothing_is_guessed():
    dashboard = Dashboard("logs")
    dashboard.add(progress(10.0, 1000))
    assert dashboard.draw(100)[0] == "logs · 0:10 · 1,000 in · 100/s"


def test_the_limit_is_marked():
    dashboard = Dashboard("logs")
    dashboard.add(progress(10.0, 1000))
    marked = [line for line in dashboard.draw(120) if line.endswith("◀ limit")]
    assert [line.split()[0] for line in marked] == ["hide-people"]


def test_each_of_several_sinks_has_a_line():
    dashboard = Dashboard("logs")
    sinks = (SinkTotals("all", 1200, 1200), SinkTotals("odd", 1200, 590, 600, skipped=3, dead=7))
    dashboard.add(replace(progress(10.0, 1200), sinks=sinks))
    assert [line.split() for line in dashboard.draw(120)[-2:]] == [
        ["all", "1,200", "1,200", "0", "0"],
        ["odd", "1,200", "590", "600", "10"],
    ]


def test_a_stage_that_pauses_is_marked_instead():
    dashboard = Dashboard("logs")
    dashboard.add(progress(10.0, 1000))
    now = progress(11.0, 1000)
    dashboard.add(replace(now, stages=tuple(replace(stage, paused=0.5) for stage in now.stages)))
    rows = dashboard.draw(120)[2:]
    assert [row.endswith("◀ paused") for row in rows] == [True] * len(rows)


def test_rates_are_those_of_the_last_seconds():
    dashboard = Dashboard("logs")
    for second in range(10):
        dashboard.add(progress(second, 0))
    dashboard.add(progress(10.0, 1000))
    assert "500/s" in dashboard.draw(100)[0]


@pytest.mark.parametrize("width", [10, 40, 60, 79, 200])
def test_no_line_is_wider_than_the_terminal(width: int):
    dashboard = Dashboard("logs")
    dashboard.add(progress(10.0, 1_000_000, 4_000_000))
    assert all(len(line) <= width for line in dashboard.draw(width))


def test_a_bar_is_always_ten_wide():
    assert bar((0.5, 0.2, 0.2, 0.1)) == "█████▓▓░░▒"
    assert bar((0.333, 0.333, 0.333, 0.0)) == "███▓▓▓▓░░░"
