"""A seat: one worker process, a frame at a time, for an actor elsewhere."""

from __future__ import annotations

import pickle

import pytest

from stagerunner.engines.process.seat import Seat, SeatSpec
from stagerunner.engines.topology import groups_of, specs
from stagerunner.records import DATA, END
from stagerunner.wire.frame import Header, Metadata, bundle, frames_of, pack_metadata, unpack_payload

PARTS = """
    import asyncio

    @stage
    def fragile(record):
        if record == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if record == 4:
            time.sleep(600)
        print("saw", record)
        return record + 1

    @stage
    class Pairs:
        def setup(self):
            self.met = asyncio.Barrier(2)
        async def process(self, record):
            await self.met.wait()
            return record

    @stage
    class Unready:
        def setup(self):
            raise RuntimeError("no model")
        def process(self, record):
            return record

    @stage
    class Unclosed:
        def process(self, record):
            return record
        def close(self):
            raise RuntimeError("can't let go")
"""


@pytest.fixture
def seat():
    seat = Seat()
    yield seat
    seat.close()


def told(project, use, **settings):
    """The spec of a chain of one stage, as an actor gets it."""
    project.plugin(PARTS)
    plan = project.load({"use": use, **settings}).plan
    return SeatSpec.of(next(specs(plan, groups_of(plan), 1, {})))


def data(sequence, *records):
    """A frame of these records."""
    header = Header(DATA, 0, 1, sequence, sequence, 0, len(records))
    return bundle([(header, pack_metadata(Metadata()), pickle.dumps(list(records), 5))])


def records(found):
    return [record for frame in frames_of(found) for record in pickle.loads(unpack_payload(frame.payload)[1])]


def test_frames_become_what_the_stage_makes_of_them(project, seat):
    begun = seat.begin(told(project, "fragile"))
    first, second = seat.feed(data(0, 1, 2)), seat.feed(data(1, 10))
    closed = seat.end(bundle([(Header(END, 0, 1, 2), b"", b"")]))

    assert (begun.error, begun.trouble) == ("", None)
    assert begun.pid > 0
    assert records(first[1]) + records(second[1]) == [2, 3, 11]
    assert first[0].printed + second[0].printed + closed.printed == b"saw 1\nsaw 2\nsaw 10\n"
    assert closed.error == ""


def test_a_stage_that_works_ahead_has_several_frames_in_hand(project, seat):
    seat.begin(told(project, "pairs"))
    for sequence in range(2):
        seat.put(data(sequence, sequence))

    assert [records(seat.take()[1]) for _ in range(2)] == [[0], [1]]


def test_a_death_is_reported_with_its_signal_and_the_next_worker_begins_in_the_same_seat(project, seat):
    spec = told(project, "fragile")
    seat.begin(spec)
    report, found = seat.feed(data(0, 1, 3))
    again = seat.begin(spec)

    assert found is None
    assert (report.trouble.stage, report.trouble.how, report.trouble.split) == ("fragile", "SIGKILL", 0)
    assert again.error == ""
    assert records(seat.feed(data(0, 1))[1]) == [2]


def test_a_call_over_its_time_limit_is_ended(project, seat):
    seat.begin(told(project, "fragile", timeout="200ms"))
    report, _ = seat.feed(data(0, 4))

    assert (report.trouble.overdue, report.trouble.how) == (True, "its time limit of 0.2 s")


def test_a_frame_that_nobody_wants_any_more_is_dropped_with_its_worker(project, seat):
    seat.begin(told(project, "fragile"))
    report, found = seat.feed(data(0, 4), abandoned=lambda: True)

    assert found is None
    assert report.trouble is not None


def test_what_fails_in_setup_or_close_is_told(project, seat):
    begun = seat.begin(told(project, "unready"))
    seat.begin(told(project, "unclosed"))
    closed = seat.end(bundle([(Header(END, 0, 1, 0), b"", b"")]))

    assert "no model" in begun.error
    assert closed.error == "exit status 1"


def test_what_the_actor_may_read_holds_no_options_of_plugins(project):
    spec = told(project, "fragile")

    assert (spec.seen.source, spec.seen.sinks, spec.seen.works[0].options) == (None, (), {})
    assert (spec.seen.upstream, spec.seen.downstream, spec.seen.inbound) == (1, 1, (0,))
