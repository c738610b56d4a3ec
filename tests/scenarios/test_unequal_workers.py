"""Two workers of one stage, of which one is far slower: the other gets most of the frames, and order is kept."""

from __future__ import annotations

import os

import pytest

from stagerunner.window.balancing import SLOW

RECORDS = 400

STAGE = f"""
WORK = {1.2 * SLOW / 1e9}  # seconds of each record: quicker frames go round whatever happens

import os
import time
from pathlib import Path

from stagerunner import stage

FREE = 150

@stage
class Unequal:
    def __init__(self, *, folder: Path) -> None:
        self.folder = folder

    def setup(self):
        try:
            os.close(os.open(self.folder / "slow", os.O_CREAT | os.O_EXCL))
            self.slow = True
        except FileExistsError:
            self.slow = False
        self.done = os.open(self.folder / "done", os.O_RDWR)
        self.waited = 0

    def process(self, record):
        time.sleep(WORK)
        if not self.slow:
            os.write(self.done, b".")
        elif self.waited < FREE:
            self.waited += len(os.read(self.done, 1)) + len(os.read(self.done, 1)) + len(os.read(self.done, 1))
        return record, self.slow
"""


@pytest.mark.timeout(60)
def test_a_slow_worker_does_not_hold_up_the_other(project):
    """The slow one waits for three records of the other before each of its own. If frames only went round, it would
    have waited forever once it was behind by the window."""
    os.mkfifo(project / "done")
    project.plugin(STAGE)
    stage = {"use": "unequal", "with": {"folder": str(project / "")}, "workers": 2}

    results = list(project.results(stage, records=range(RECORDS), run={"frame": 1}))

    assert [record for record, _ in results] == list(range(RECORDS))
    assert sum(slow for _, slow in results) < RECORDS / 2


HEAD = f"""
WORK = {1.2 * SLOW / 1e9}

import os
import time
from pathlib import Path

from stagerunner import stage

@stage
def head(record, *, folder: Path, others: int):
    "One record ends only once so many others have."
    done = os.open(folder / "done", os.O_RDWR)
    time.sleep(WORK)
    left = others if record == 20 else 0
    while left:
        left -= len(os.read(done, left))
    if record > 20:
        os.write(done, b".")
    os.close(done)
    return record

@stage
def behind(record):
    return record
"""


@pytest.mark.timeout(60)
def test_any_number_of_records_passes_a_slow_one_whatever_stands_behind(project):
    """What is done waits for it in the pipes of the stage behind, so nothing comes back meanwhile."""
    os.mkfifo(project / "done")
    project.plugin(HEAD)
    head = {"use": "head", "with": {"folder": str(project / ""), "others": 150}, "workers": 2}

    results = list(project.results(head, "behind", records=range(RECORDS), run={"frame": 1}))

    assert results == list(range(RECORDS))
