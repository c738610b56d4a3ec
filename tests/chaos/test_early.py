"""Runs that fail, are stopped or killed at random: what they say of themselves is what an independent count finds.

One seed again: EARLY_SEEDS=17 pytest tests/chaos/test_early.py; CHAOS_KEEP=1 leaves the folders.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from chaos_support.broken import LIES
from chaos_support.case import Case
from chaos_support.early import Early, case_of
from chaos_support.parallel import in_parallel, report
from chaos_support.running import wrapped
from chaos_support.scenario import named

AGAIN = "EARLY_SEEDS={item} pytest tests/chaos/test_early.py"

SOMETIMES = ("exit 0", "exit 1", "exit 3", "exit 130", "exit 143", "exit -9", "failed again")
"""How lives must have ended in all seeds together."""

pytestmark = [pytest.mark.reliability("early ends"), pytest.mark.timeout(300)]


def _seeds(full: bool) -> list[int]:
    chosen = os.environ.get("EARLY_SEEDS")
    return [int(seed) for seed in chosen.split(",")] if chosen else list(range(5_000 if full else 40))


def _examine(seed: int, folder: Path) -> Counter[str]:
    place = folder / f"seed {seed}"
    met = Early(seed, case_of(seed, place)).run()
    if "CHAOS_KEEP" not in os.environ:
        shutil.rmtree(place)
    return met


def test_what_a_run_says_of_itself_is_what_stands_in_its_files(folder, full, proved):
    seeds = _seeds(full)
    hits, failures = in_parallel(seeds, lambda seed: _examine(seed, folder))

    total = sum(hits.values(), Counter())
    proved(chains=len(hits), lives=total["lives"])
    print("met:", dict(sorted(total.items())))
    assert not failures, report(failures, AGAIN)
    assert [what for what in SOMETIMES if not total[what]] == [] or len(seeds) < 40


def _failing(folder: Path, lie: str) -> Early:
    """A run that fails at its 2,500th record, behind checkpoints and in the middle of a frame; then once more."""
    records = [{"key": "a", "value": number, "deed": "raise" if number == 2500 else ""} for number in range(3000)]
    chain = named([{"use": "deadly", "with": {"pause": 0.0001}}, {"use": "same"}])
    case = Case(folder / lie, chain, records, "jsonl", {"frame": 16, "checkpoint": "5ms"})
    return Early(0, case, ("nothing",), wrapped("broken", lie) if lie in LIES else {})


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_the_ledger_is_found(folder, lie):
    with pytest.raises(AssertionError, match=r"\d+ out, \d+ written"):
        _failing(folder, lie).run()


def test_without_a_lie_the_same_run_passes(folder):
    assert _failing(folder, "truth").run()["failed again"] == 1
