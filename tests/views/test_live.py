from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

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
