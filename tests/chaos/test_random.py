"""Random chains under random harm: the output is that of a run without harm.

One seed again: CHAOS_SEEDS=17 pytest tests/chaos/test_random.py; CHAOS_KEEP=1 leaves the folders.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter

import pytest
from chaos_support.monkey import Chaos
from chaos_support.outputs import BRANCHED
from chaos_support.parallel import in_parallel, report

AGAIN = "CHAOS_SEEDS={item} pytest tests/chaos/test_random.py"

SOMETIMES = (
    "killed: worker",
    "killed: fork_server",
    "killed: parent",
    "killed inside a record",
    "killed during recovery",
    "stopped: worker",
    "stopped: parent",
    "resumed",
    "lives: 3 or more",
    "dead letters",
    "quarantined",
    "timed out",
    "with a state that can't be told, restarted",
    *(f"sink: {sink}" for sink in ("lines", "jsonl", "csv", "gz", "append", "sqlite")),
    *(f"sink: {sink}" for sink in BRANCHED),
    "a row that a table refused",
)
"""What all seeds together must have met: chaos that hits nothing proves nothing."""

FIGURES = {
    "kills": ("killed: worker", "killed: fork_server", "killed: parent", "killed during recovery"),
    "stops": ("stopped: worker", "stopped: fork_server", "stopped: parent"),
    "restarts": ("restarts",),
    "resumes": ("resumed",),
    "quarantines": ("quarantined",),
    "timeouts": ("timed out",),
}
"""What the table says of all seeds together."""

pytestmark = [pytest.mark.reliability("random chaos"), pytest.mark.timeout(900)]


def _seeds(full: bool) -> list[int]:
    chosen = os.environ.get("CHAOS_SEEDS")
    return [int(seed) for seed in chosen.split(",")] if chosen else list(range(20_000 if full else 100))


def test_whatever_is_killed_and_stopped_the_output_is_exact(folder, full, proved):
    seeds = _seeds(full)

    def examine(seed: int) -> Counter[str]:
        chaos = Chaos.of(seed, folder)
        met = chaos.run()
        if "CHAOS_KEEP" not in os.environ:
            shutil.rmtree(chaos.case.folder)  # of 20,000 there would be much
        return met

    hits, failures = in_parallel(seeds, examine)

    total = sum(hits.values(), Counter())
    proved(seeds=len(hits), **{name: sum(total[what] for what in met) for name, met in FIGURES.items()})
    print("met:", dict(sorted(total.items())))
    assert not failures, report(failures, AGAIN)
    assert [what for what in SOMETIMES if not total[what]] == [] or len(seeds) < 100
