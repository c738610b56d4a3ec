from __future__ import annotations

from time import monotonic, monotonic_ns

import pytest
from support.specs import spec_for, work

from stagerunner.engines.base import Clock, Trouble
from stagerunner.engines.process.parent import health
from stagerunner.engines.process.parent.health import Health
from stagerunner.records import Batch
from stagerunner.wire.metrics import DECODING, SINCE, WAITING, WORKING


def same(record):
    return record


@pytest.fixture
def specs():
    return {1: spec_for(work(same, timeout=0.05))}


def looked(watching, specs):
    """What is seen before the next second is over."""
    until = monotonic() + 1
    while monotonic() < until and (found := watching.look(specs, {})) is None:
        pass
    return found


def test_who_is_over_its_time_is_told_after_it_could_say_where_it_hangs(page, specs):
    watching = Health(page)
    watching.look(specs, {})
    page.slot(0).begin(0, 0, Batch(["a"], 0, 1))
    page.slot(0).enter(0)

    began = monotonic()
    found = looked(watching, specs)

    assert found is not None
    assert found.overdue
    assert monotonic() - began > health.STACKS


def test_nobody_is_late_because_we_were_away(page, specs):
    watching = Health(page)
    page.slot(0).state(WORKING)
    page.slot(0).words[SINCE] = monotonic_ns() - 10 * 10**9

    assert watching.look(specs, {}) is None


def test_a_worker_has_begun_what_the_last_of_its_groups_has(page):
    """Two groups of two workers share each frame; the group of one sees them all."""
    specs = {
        number: spec_for(work(same), number=number % 2, width=width, slots=(number,))
        for number, width in enumerate((2, 2, 2, 2, 1))
    }
    for slot, sequence in enumerate((4, 7, 2, 9, 1)):
        page.slot(slot).begin(sequence, 0, Batch([], 0, 0))

    assert Health(page).begun(specs) == [2, 7]


def test_a_kill_by_the_kernel_is_named(page, monkeypatch):
    kills = iter([3, 4])
    monkeypatch.setattr(health, "oom_kills", lambda: next(kills))

    assert "out of memory" in Health(page).named(Trouble("a", 0, 1, "SIGKILL")).how


def test_clocks_are_told_by_worker_and_stage(page, specs):
    slot = page.slot(0)
    slot.codec, slot.wait, slot.block = 2, 3, 4
    slot.add(1, 5, 6)

    assert Health(page).clocks(specs) == [Clock(0, 1, 2, 3, 4, 5, 6)]


@pytest.mark.parametrize(("state", "clock"), [(WORKING, "work"), (DECODING, "codec"), (WAITING, "wait")])
def test_a_clock_moves_while_its_worker_is_in_one_frame(page, specs, state, clock):
    page.slot(0).state(state, monotonic_ns() - 60 * 10**9)

    (told,) = Health(page).clocks(specs)
    assert 60e9 <= getattr(told, clock) < 120e9
    assert told.work + told.codec + told.wait + told.block == getattr(told, clock)
