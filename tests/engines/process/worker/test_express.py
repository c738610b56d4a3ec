from __future__ import annotations

import os
import pickle
import tempfile

import pytest
from support.specs import spec_for, work

from stagerunner import count, enough
from stagerunner.engines.process.worker.express import SENT, Express, express
from stagerunner.engines.process.worker.stage_runner import PIECE, StageRunner
from stagerunner.evaluate.ends import End
from stagerunner.records import BARRIER, DATA, END, SOURCE, TO_THE_END, Counts, Failure, total
from stagerunner.wire.frame import MARKED, MORE, SIZE, BadFrame, Frame, Header
from stagerunner.wire.metadata import Metadata, pack_metadata, unpack_payload
from stagerunner.wire.metrics import FIRST, LAST, OUT, SEQUENCE, SPLIT, STATE, TAKEN, WAITING, MetricsPage, create
from stagerunner.wire.pipe import Inbound

BEFORE = Counts(SOURCE, taken=4, out=4)


def same(record):
    return record


def small(record) -> int | None:
    return record if record < 3 else None


def counting(record):
    count("seen", record)
    return record


def until_two(record):
    if record == 2:
        enough()
    return record


def no_two(record):
    if record == 2:
        raise ValueError("two")
    return record


def forgetful(record):
    return None if record == 2 else record


class Stuck:
    def __reduce__(self):
        raise TypeError("stuck")

    def __repr__(self):
        return "Stuck"


def unsendable(record):
    return Stuck() if record == 2 else record


def large(record):
    return bytes(PIECE // 3)


def many(record):
    yield record


class Sum:
    def __init__(self):
        self.sum = 0

    def process(self, record):
        self.sum += record
        return self.sum


STAGES = [same, small, counting, until_two, no_two, forgetful, unsendable, large, Sum]


class Both:
    """The same worker twice: one that may take the short way, and one that never does."""

    read = 0
    """Bytes read of what the short way has written."""

    def __init__(self, *stages, **settings) -> None:
        self.spec = spec_for(*stages, **settings)
        self.fds = [create(self.spec.slot_count) for _ in range(2)]
        self.pages = [MetricsPage(fd, self.spec.slot_count) for fd in self.fds]
        self.runners = [StageRunner(self.spec, page) for page in self.pages]
        for runner in self.runners:
            runner.setup()
        self.way = express(self.runners[0])
        self.written = tempfile.TemporaryFile()  # takes frames of any size, and nobody has to read them meanwhile
        self.pipe = Inbound(os.dup(self.written.fileno()), 2**31)

    def feed(self, frame: Frame) -> tuple[list, list]:
        """What both ways give, clocks aside."""
        quick = None if self.way is None else self.way.feed(frame, self.written.fileno())
        if quick is SENT:
            assert self.runners[0].slots[0].words[STATE] == WAITING
            quick = [self.sent()]
        else:
            quick = list(self.runners[0].feed(frame) if quick is None else quick)
            self.runners[0].slots[0].store()  # as the worker does that sends them
        return self.told(quick), self.told(self.runners[1].feed(frame))

    def sent(self) -> tuple[Header, bytes, bytes]:
        """The frame that was written, as if it still were to be sent."""
        self.written.seek(self.read)
        header, payload = self.pipe.read()
        self.read = self.written.seek(0, os.SEEK_END)
        return header._replace(length=0), bytes(payload), b""

    def told(self, parts) -> list:
        return [said(*part) for part in parts]

    def slots(self) -> list[list[int]]:
        slots = [page.slot(0) for page in self.pages]
        held = [[slot.words[word] for word in (SEQUENCE, SPLIT, FIRST, LAST, TAKEN, OUT)] for slot in slots]
        return [[*words, slot.taken, slot.out] for words, slot in zip(held, slots, strict=True)]

    def close(self) -> None:
        for page, fd in zip(self.pages, self.fds, strict=True):
            page.close()
            os.close(fd)
        os.close(self.pipe.fd)
        self.written.close()


def said(header: Header, metadata: bytes, body) -> tuple:
    found, rest = unpack_payload(metadata + bytes(body))
    ledger = {stage: repr(counts) for stage, counts in total(found.counts).items()}
    quiet = Metadata(found.origins, found.failures, found.quarantined, found.stop, 0, found.widest, heavy=found.heavy)
    quiet.buffer_refs, quiet.held, quiet.block, quiet.room = found.buffer_refs, found.held, found.block, found.room
    return header, ledger, quiet, bytes(rest)


def frame(records, sequence: int = 0, *, flags: int = 0, metadata: Metadata | None = None, **fields) -> Frame:
    given = metadata or Metadata(slowest=5, widest=7)
    given.book([BEFORE])
    payload = pack_metadata(given) + pickle.dumps(records, 5)
    known = {"first": 0, "last": len(records), "records": len(records), "length": len(payload)}
    return Frame(Header(DATA, flags, 1, sequence, 9, **known | fields), memoryview(payload))


@pytest.fixture
def both():
    made: list[Both] = []

    def make(*stages, **settings) -> Both:
        made.append(Both(*stages, **{"first": False, "source": None} | settings))
        return made[-1]

    yield make
    for pair in made:
        pair.close()


@pytest.mark.parametrize("on_error", ["fail", "skip", "dead_letter"])
@pytest.mark.parametrize("stage", STAGES)
def test_both_ways_give_the_same_frames(both, stage, on_error):
    pair = both(work(stage, on_error=on_error))
    assert isinstance(pair.way, Express)

    for sequence, records in enumerate(([0, 1], [], [1, 2, 4, 5], [5])):
        quick, usual = pair.feed(frame(records, sequence))
        assert quick == usual
        assert pair.slots()[0] == pair.slots()[1]


@pytest.mark.parametrize("records", [[], [1], [1, None, 2], list(range(50))])
@pytest.mark.parametrize("last", [2, TO_THE_END])
@pytest.mark.parametrize("stage", [same, small, unsendable, large])
def test_the_first_worker_reads_and_the_ledger_the_same(both, stage, records, last):
    pair = both(work(stage, on_error="skip"), first=True, source=End(on_error="skip"))

    quick, usual = pair.feed(frame(records, last=last))

    assert quick == usual


def test_what_is_not_usual_is_left_to_the_runner_untouched(both):
    pair = both(same)
    failure = Failure(SOURCE, 1, 0, "ValueError", "no", "skip")
    others = [
        frame([1], flags=MARKED),
        frame([1], flags=MORE),
        frame([1], piece=1),
        frame([1], metadata=Metadata([0])),
        frame([1], metadata=Metadata(failures=[failure])),
        frame([1], metadata=Metadata(quarantined={(0, 0, 0): ("Killed", "")})),
        frame([1], metadata=Metadata(stop=0)),
        frame([1], metadata=Metadata(block=3, room=10)),
        Frame(frame([1]).header._replace(kind=BARRIER), b""),
        Frame(Header(END, 0, 1, 1), b""),
    ]

    assert [pair.way.feed(other, -1) for other in others] == [None] * len(others)
    assert pair.slots()[0][-2:] == [0, 0]


def test_after_a_stop_the_runner_decides(both):
    pair = both(same)
    for page in pair.pages:
        page.stop_stage, page.stop = 1, 0

    assert pair.way.feed(frame([1], 1), -1) is None
    quick, usual = pair.feed(frame([1], 1))

    assert quick == usual


def test_metadata_longer_than_their_payload_are_a_bad_frame(both):
    pair = both(same)
    whole = frame([1])
    cut = Frame(whole.header._replace(length=SIZE), whole.payload[:SIZE])

    assert pair.way.feed(cut, -1) is None
    with pytest.raises(BadFrame):
        pair.feed(cut)


def test_a_frame_that_outgrows_itself_comes_in_pieces_again(both):
    pair = both(large)

    for sequence in range(3):
        quick, usual = pair.feed(frame([1] * 8, sequence))
        assert quick == usual

    assert len(quick) > 1


def test_only_a_single_stage_that_takes_one_record_at_a_time_has_a_short_way(both):
    assert both(same).way is not None
    assert both(many).way is None
    assert both(same, same).way is None
    assert both().way is None
