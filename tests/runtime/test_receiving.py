from __future__ import annotations

import pytest

from stagerunner.delivery.ledger import Ledger
from stagerunner.records import DATA, SOURCE, Counts, Failure, Spread
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.receiving import Receiving
from stagerunner.window.core import Window
from stagerunner.window.isolation import MOST_RESTARTS, Culprit, PoisonIsolation
from stagerunner.window.splits import ProtocolFault
from stagerunner.wire.frame import MORE, STOP, Header, Metadata


class Heard:
    """Delivery, result writer, dispatch and restart: what they are told."""

    def __init__(self) -> None:
        self.told = []
        self.writer = self
        self.ledger = Ledger(1, sinks=0)
        self.isolation, self.rereads = PoisonIsolation(), False
        self.ease = [].append
        self.ahead, self.refused = False, ()

    def write(self, body, records, buffers):
        self.told.append(("results", bytes(body), records))

    def failures(self, failures, kept, locate):
        self.told.append(("failures", len(failures)))

    def counts(self, lines, extras):
        self.told.append(("counts", [Counts(*line) for line in lines]))

    def count_fatal(self, flush):
        self.told.append(("fatal", flush))

    def took(self, taken):
        self.told.append(("taken", taken))

    def learn(self, taken, most, metadata, kept):
        self.told.append(("learned from", taken))

    def stopped_by(self, stage):
        self.told.append(("stopped by", stage))

    def finished(self, kept):
        self.told.append(("finished", kept.number))

    def locate(self, kept, record):
        return None


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def window():
    window = Window(1000)
    window.admit(b"split", 5, last=4)
    return window


@pytest.fixture
def receiving(window, heard):
    return Receiving(window, heard, Blocks(), heard, heard)


def back(first, last, flags=0, **more):
    return Header(DATA, flags, 1, more.pop("sequence", 0), 0, first, last, records=last - first, **more)


def booked(*counts):
    metadata = Metadata()
    metadata.book(counts)
    return metadata


def test_an_accepted_frame_is_delivered_booked_and_done_with(receiving, heard):
    ledger = [Counts(SOURCE, taken=4, out=4), Counts(0, taken=4, out=4)]

    receiving.receive(back(0, 4), booked(*ledger), memoryview(b"body"))
    receiving.book()

    assert heard.told == [
        ("results", b"body", 4),
        ("counts", ledger),
        ("taken", 4),
        ("learned from", 4),
        ("finished", 0),
    ]


def test_results_do_not_wait_until_they_are_booked(receiving, heard, window):
    window.admit(b"next", 4, last=2)

    receiving.receive(back(0, 4), booked(Counts(SOURCE, taken=4)), memoryview(b"body"))
    assert heard.told == [("results", b"body", 4)]

    receiving.receive(Header(DATA, 0, 1, 1, 1, 0, 2, records=2), Metadata(), memoryview(b"more"))
    assert [what for what, *_ in heard.told] == ["results", "counts", "taken", "learned from", "finished", "results"]

    receiving.book()
    receiving.book()
    assert [what for what, *_ in heard.told[6:]] == ["counts", "taken", "learned from", "finished"]


def test_each_piece_is_counted_by_itself_and_the_frame_is_learned_from_at_its_end(receiving, heard):
    """What divides the counts may come ahead of its records; what the last piece says of the whole frame isn't used."""
    dropped = Counts(0)
    dropped.spread = Spread([(range(4), bytes([1, 0, 1, 0]))])
    receiving.receive(back(0, 2, MORE), booked(dropped), memoryview(b"a"))
    receiving.book()

    receiving.receive(back(2, 4, piece=1), booked(Counts(0, taken=4, out=2, filtered=2)), memoryview(b"b"))
    receiving.book()

    half = [Counts(SOURCE, taken=2, out=2), Counts(0, taken=2, out=1, filtered=1)]
    assert heard.told == [
        ("results", b"a", 2),
        ("counts", half),
        ("taken", 2),
        ("results", b"b", 2),
        ("counts", half),
        ("taken", 2),
        ("learned from", 4),
        ("finished", 0),
    ]


def test_the_record_that_ends_the_run_is_counted_too(receiving, heard):
    failure = Failure(0, 2, 0, "ValueError", "no", "fail")

    receiving.receive(back(0, 2), Metadata(failures=[failure]), memoryview(b"body"))
    receiving.book()

    counts = [Counts(SOURCE, taken=2, out=2), Counts(0, taken=2, out=2)]
    assert heard.told[2:4] == [("counts", counts), ("fatal", -1)]


def test_failures_are_delivered_behind_the_results(receiving, heard):
    failure = Failure(0, 1, 0, "ValueError", "no", "skip")

    receiving.receive(back(0, 4), Metadata(failures=[failure]), memoryview(b"body"))
    receiving.book()

    assert heard.told[:2] == [("results", b"body", 4), ("failures", 1)]


def test_a_stop_is_told_before_anything_else(receiving, heard, window):
    receiving.receive(back(0, 2, STOP), Metadata(stop=1), memoryview(b"body"))
    receiving.book()

    assert heard.told[0] == ("stopped by", 1)
    assert window.stopped


def test_what_was_accepted_before_is_dropped_with_its_counts(heard):
    window = Window(1000, stateful=True)
    window.admit(b"split", 5, last=4)
    receiving = Receiving(window, heard, Blocks(), heard, heard)
    receiving.receive(back(0, 2, MORE), Metadata(), memoryview(b"body"))
    receiving.book()
    window.restart()
    heard.told.clear()

    receiving.receive(back(0, 2), booked(Counts(SOURCE, taken=2, out=2)), memoryview(b"body"))
    receiving.book()

    assert heard.told == []


def test_a_frame_out_of_turn_is_a_protocol_fault(receiving):
    with pytest.raises(ProtocolFault, match="out of turn"):
        receiving.receive(back(0, 4, sequence=1), Metadata(), memoryview(b""))


@pytest.mark.parametrize(("last", "hopeless"), [(0, True), (2, False)])
def test_only_a_piece_with_records_is_progress(window, heard, last, hopeless):
    receiving = Receiving(window, heard, Blocks(), heard, heard)
    for _ in range(MOST_RESTARTS):
        heard.isolation.died(Culprit())

    receiving.receive(back(0, last, MORE), Metadata(), memoryview(b""))
    receiving.book()

    assert heard.isolation.hopeless is hopeless
