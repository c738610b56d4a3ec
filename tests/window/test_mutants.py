"""Bugs planted in the protocol: the simulator must notice every one of them."""

from __future__ import annotations

import pytest
from simulator.disk import Violation
from simulator.mutants import MUTANTS
from simulator.world import simulate

SEEDS = 6000
"""A mutant has to be noticed within so many seeds."""

NAMED = (
    "EOF as END",
    "journal before sink",
    "no truncate",
    "one strike",
    "stale out-buffer",
    "lost window head",
    "no finishing state",
    "resend from accepted in a chain with state",
    "piece counted twice",
    "a resume drops a record too few",
    "a resume drops a record too many",
    "what lies beyond a cut is accepted",
    "dead letters committed at stage time",
    "an innocent neighbour is quarantined",
    "suspects stay suspects when they are accepted",
    "a marked frame is overlapped",
    "a gathered frame leaves before its call",
    "results are dealt to the wrong frames",
    "a list waits for a frame that can't come",
    "a lead is forgotten",
    "a lead is skipped twice",
    "a lead counts records instead of source records",
    "the row of one sink is taken for another's",
)
"""The bugs that are made most easily, or cost most."""

RARE = {
    "a lead counts records instead of source records": 135,
    "tables are committed before files": 183,
    "state is lost in a regrouping": 203,
    "a resume does not wait to see where the accepted records end": 210,
    "a split that fails the run is done": 226,
    "what is left of a lead is forgotten by the next resume": 229,
    "a mark is committed before its records": 319,
    "a late mark is committed before its records": 319,
    "a barrier overtakes the list of a stage with state": 327,
    "quarantines are lost in a flush": 357,
    "a sink that is ahead has refused nothing": 483,
    "records that are skipped are not counted as handed to the sink": 483,
    "what lies beyond a cut is accepted": 497,
    "frames behind a slow one cost nothing": 508,
    "a death while the chain is emptied leaves it shut": 559,
    "strikes are laid to the source record": 593,
    "a row forgets what was refused before a kill": 683,
    "a gathering worker waits for a pipe that is full": 820,
    "frames are not cut where a lead ends": 1946,
    "nobody looks whether frames were begun": 2172,
    "an early stop is forgotten on resume": 2253,
    "what follows the stop in its split is taken": 2254,
}
"""Bugs that few seeds meet, and the first that does. It is tried first, for all those before it would take most of the
time; once it meets the bug no more, they are tried again."""

pytestmark = pytest.mark.reliability("mutants")


def test_every_named_bug_is_planted():
    assert MUTANTS.keys() >= {*NAMED, *RARE}
    assert max(RARE.values()) < SEEDS


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulator_notices(name, monkeypatch, proved):
    MUTANTS[name](monkeypatch)

    assert any(objects(seed) for seed in (RARE.get(name, 0), *range(SEEDS)))
    proved(mutants=1, named_mutants=int(name in NAMED))


def objects(seed: int) -> bool:
    try:
        simulate(seed)
    except (Violation, LookupError):
        return True
    return False
