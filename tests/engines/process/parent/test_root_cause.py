from __future__ import annotations

from time import monotonic_ns

import pytest
from support.specs import spec_for, work

from stagerunner.engines.base import culprit_of
from stagerunner.engines.process.parent.fork_server import Ended
from stagerunner.engines.process.parent.root_cause import overdue, root_cause
from stagerunner.records import TO_THE_END, Batch
from stagerunner.wire.metrics import ENCODING, LEFT, ORDINAL, ORIGIN, SETTING_UP, SINCE, WORKING


def same(record):
    return record


@pytest.fixture
def specs():
    """Three stages with a worker each, by identity."""
    works = [work(same, index)._replace(name=f"s{index}", timeout=1.0) for index in range(3)]
    return {n: spec_for(works[n], slots=(n,), names=(f"s{n}",), slot_count=3, start_timeout=5.0) for n in range(3)}


def deaths(*statuses: int | None) -> list[Ended]:
    return [Ended(n, 100 + n, status) for n, status in enumerate(statuses) if status is not None]


def test_who_was_killed_is_to_blame_and_not_who_left_for_it(page, specs):
    for left in (0, 2):
        page.slot(left).words[LEFT] = 1

    trouble = root_cause(deaths(70, -9, 70), specs, page, "why")

    assert (trouble.stage, trouble.pid, trouble.how, trouble.index) == ("s1", 101, "SIGKILL", 1)


def test_ties_go_to_the_signalled_one(page, specs):
    assert root_cause(deaths(1, None, -11), specs, page, "why").how == "SIGSEGV"


def test_ties_among_equals_go_to_the_earlier_stage(page, specs):
    assert root_cause(deaths(None, 3, 4), specs, page, "why").how == "exit status 3"


def test_a_status_of_0_is_to_blame_when_nobody_else_is(page, specs):
    page.slot(0).words[LEFT] = 1

    assert root_cause(deaths(0, 0, None), specs, page, "why").stage == "s1"


def test_without_a_cause_there_is_only_what_was_noticed(page, specs):
    trouble = root_cause([], specs, page, "a pipe broke")

    assert (trouble.stage, trouble.how, trouble.index) == ("", "a pipe broke", -1)


def test_the_record_at_work_is_told(page, specs):
    slot = page.slot(1)
    slot.begin(3, 8, Batch(list("ab"), 20, 22))
    slot.enter(1)

    trouble = root_cause(deaths(None, -9), specs, page, "why")

    assert (trouble.split, trouble.first, trouble.last, trouble.origin, trouble.ordinal) == (8, 20, 22, 21, 0)
    assert trouble.state == "working on a record"


def test_between_calls_only_the_frame_is_told(page, specs):
    slot = page.slot(1)
    slot.begin(3, 8, Batch(list("ab"), 20, 22))
    slot.words[ORIGIN], slot.words[ORDINAL] = 5, 5

    trouble = root_cause(deaths(None, -9), specs, page, "why")

    assert (trouble.split, trouble.origin, trouble.ordinal) == (8, -1, -1)


def test_all_calls_that_are_running_are_told_but_no_record_is_named(page, specs):
    slot = page.slot(1)
    slot.begin(7, 8, Batch(list("ab"), 20, 22))
    slot.call(0, (3, 5), (7, 0))
    specs[1] = specs[1]._replace(width=2)

    trouble = root_cause(deaths(None, -9), specs, page, "why")

    assert trouble.calls == ((3, 5, TO_THE_END), (5, 0, TO_THE_END), (7, 0, 1))
    assert (trouble.origin, trouble.ordinal) == (-1, -1)


def test_of_a_list_the_whole_frame_in_hand_is_told(page, specs):
    slot = page.slot(1)
    slot.begin(3, 8, Batch(list("ab"), 20, 22))
    slot.enter(0, alone=False)

    assert root_cause(deaths(None, -9), specs, page, "why").calls == ((3, 20, 22),)


def test_while_a_frame_is_encoded_it_is_the_frame_and_no_call_that_kills(page, specs):
    slot = page.slot(1)
    slot.call(0, (3, 5), (3, 5))
    slot.hold(ENCODING, 2, 8, 20, 22)

    trouble = root_cause(deaths(None, -9), specs, page, "why")

    assert (trouble.split, trouble.first, trouble.last, trouble.calls) == (8, 20, 22, ())


def test_an_idle_worker_holds_nothing(page, specs):
    page.slot(1).state(1)

    trouble = root_cause(deaths(None, -9), specs, page, "why")

    assert (trouble.split, trouble.origin, trouble.state) == (-1, -1, "waiting for records")


def long_ago(slot) -> None:
    slot.words[SINCE] = monotonic_ns() - 2 * 10**9


def test_a_record_over_its_timeout_is_overdue(page, specs):
    slot = page.slot(2)
    slot.begin(0, 0, Batch(["a"], 0, 1))
    slot.enter(0)
    assert overdue({2: specs[2]}, page, {2: 55}, 0) is None

    long_ago(slot)
    trouble = overdue({2: specs[2]}, page, {2: 55}, 0)

    assert (trouble.stage, trouble.pid, trouble.overdue) == ("s2", 55, True)
    assert "1 s" in trouble.how


def test_time_in_which_everybody_stood_still_does_not_count(page, specs):
    slot = page.slot(2)
    slot.begin(0, 0, Batch(["a"], 0, 1))
    slot.enter(0)
    long_ago(slot)

    assert overdue({2: specs[2]}, page, {}, monotonic_ns()) is None


def test_between_records_there_is_no_deadline(page, specs):
    slot = page.slot(2)
    slot.state(WORKING)
    long_ago(slot)

    assert overdue({2: specs[2]}, page, {}, 0) is None


def test_a_setup_has_the_deadline_of_the_start(page, specs):
    slot = page.slot(0)
    slot.state(SETTING_UP)
    long_ago(slot)
    assert overdue({0: specs[0]}, page, {}, 0) is None

    late = overdue({0: specs[0]._replace(start_timeout=1.0)}, page, {}, 0)
    assert late.overdue
    assert culprit_of(late).tardy
