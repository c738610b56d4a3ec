from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from support.specs import spec_for, work

from stagerunner import count, enough
from stagerunner.engines.worker.encode import PIECE
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate.work import EndSpec
from stagerunner.records import BARRIER, DATA, SOURCE, TO_THE_END, Counts, Failure, total
from stagerunner.wire.frame import MARKED, MORE, SIZE, BadFrame, Frame, Header, Metadata, pack_metadata, unpack_payload
from stagerunner.wire.metrics import FIRST, LAST, OUT, SEQUENCE, SPLIT, TAKEN, MetricsPage, create

TO_A_FILE = {"path": Path("out.jsonl")}
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


class Changing:
    """A sink whose encoding is not known to leave records as they are."""

    def encode(self, records):
        return b""


STAGES = [same, small, counting, until_two, no_two, forgetful, unsendable, large, Sum]


class Both:
    """The same worker twice: one that takes ordinary frames in one go, and one that takes every frame by piece."""

    def __init__(self, *stages, **settings) -> None:
        self.spec = spec_for(*stages, **settings)
        self.fds = [create(self.spec.slot_count, self.spec.places) for _ in range(2)]
        self.pages = [MetricsPage(fd, self.spec.slot_count, self.spec.places) for fd in self.fds]
        self.runners = [StageRunner(self.spec, page) for page in self.pages]
        for runner in self.runners:
            runner.setup()

    def feed(self, frame: Frame) -> tuple[list, list]:
        """What both ways give, clocks aside."""
        found = [said(*part) for part in self.runners[0].feed(frame)]
        self.runners[0].slots[0].store()  # as the worker does that sends them
        return found, [said(*part) for part in self.runners[1].pieces.feed(frame)]

    def in_one_go(self, frame: Frame, monkeypatch) -> bool:
        """Whether the frame doesn't go through `pieces`."""
        branched = []
        pieces = self.runners[0].pieces
        monkeypatch.setattr(pieces, "feed", branched.append)
        self.runners[0].feed(frame)
        monkeypatch.undo()
        return not branched

    def slots(self) -> list[list[int]]:
        slots = [page.slot(0) for page in self.pages]
        held = [[slot.words[word] for word in (SEQUENCE, SPLIT, FIRST, LAST, TAKEN, OUT)] for slot in slots]
        return [[*words, slot.taken, slot.out] for words, slot in zip(held, slots, strict=True)]

    def close(self) -> None:
        for page, fd in zip(self.pages, self.fds, strict=True):
            page.close()
            os.close(fd)


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

    for sequence, records in enumerate(([0, 1], [], [1, 2, 4, 5], [5])):
        quick, usual = pair.feed(frame(records, sequence))
        assert quick == usual
        assert pair.slots()[0] == pair.slots()[1]


@pytest.mark.parametrize("records", [[], [1], [1, None, 2], list(range(50))])
@pytest.mark.parametrize("last", [2, TO_THE_END])
@pytest.mark.parametrize("stage", [same, small, unsendable, large])
def test_the_first_worker_reads_and_the_ledger_the_same(both, stage, records, last):
    pair = both(work(stage, on_error="skip"), first=True, source=EndSpec(on_error="skip"))

    quick, usual = pair.feed(frame(records, last=last))

    assert quick == usual


@pytest.mark.parametrize("on_error", ["fail", "skip", "dead_letter"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_last_worker_encodes_for_the_sink_the_same(both, stage, on_error):
    pair = both(
        work(stage, on_error=on_error), sinks=(EndSpec("stagerunner_parts.sinks.jsonl:Jsonl", TO_A_FILE, on_error),)
    )

    for sequence, records in enumerate(([0, 1], [], [1, 2, 4, 5], [{1}, 1, 2], [5])):
        quick, usual = pair.feed(frame(records, sequence))
        assert quick == usual
        assert pair.slots()[0] == pair.slots()[1]


def test_a_sink_that_may_change_records_is_given_them_by_piece(both, monkeypatch):
    assert not both(same, sinks=(EndSpec(f"{__name__}:Changing"),)).in_one_go(frame([1]), monkeypatch)
    plain = both(same, sinks=(EndSpec("stagerunner_parts.sinks.jsonl:Jsonl", TO_A_FILE),))
    assert plain.in_one_go(frame([1]), monkeypatch)


def test_what_is_not_ordinary_branches_off_untouched(both, monkeypatch):
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
    ]

    assert not any(pair.in_one_go(other, monkeypatch) for other in others)
    assert pair.slots()[0][-2:] == [0, 0]


def test_after_a_stop_every_frame_goes_by_piece(both, monkeypatch):
    pair = both(same)
    for page in pair.pages:
        page.stop_stage, page.stop = 1, 0

    assert not pair.in_one_go(frame([1], 1), monkeypatch)
    quick, usual = pair.feed(frame([1], 1))

    assert quick == usual


def test_metadata_longer_than_their_payload_are_a_bad_frame(both):
    pair = both(same)
    whole = frame([1])
    cut = Frame(whole.header._replace(length=SIZE), whole.payload[:SIZE])

    with pytest.raises(BadFrame):
        pair.feed(cut)


def test_a_frame_that_outgrows_itself_comes_in_pieces_again(both):
    pair = both(large)

    for sequence in range(3):
        quick, usual = pair.feed(frame([1] * 8, sequence))
        assert quick == usual

    assert len(quick) > 1


def test_one_stage_that_takes_one_record_at_a_time_takes_frames_in_one_go(both, monkeypatch):
    assert both(same).in_one_go(frame([1]), monkeypatch)
    assert not both(many).in_one_go(frame([1]), monkeypatch)
    assert not both(same, same).in_one_go(frame([1]), monkeypatch)
    assert not both().in_one_go(frame([1]), monkeypatch)
