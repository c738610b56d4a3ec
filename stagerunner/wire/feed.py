"""What a feeder is told: plain data. A module of its own, so that the parent needn't import what the feeder runs."""

from __future__ import annotations

import sys
from typing import Any

from stagerunner.records import NOTHING
from stagerunner.tuples import NamedTuple

MOST = 1000
"""Records in one frame at most."""


class Feed(NamedTuple):
    """Which source to run. linger: seconds a record may wait for others to share its frame."""

    target: str
    options: dict[str, Any]
    linger: float
    files: dict[str, str] = NOTHING
    records: int = MOST
    max_record: int = sys.maxsize
