from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from itertools import count, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.specs import offered, spec_for, work

import stagerunner
from stagerunner import enough, stage
from stagerunner.engines.worker.encode import PIECE
from stagerunner.engines.worker.pieces import clipped
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate.work import EndSpec
from stagerunner.records import BARRIER, DATA, FLUSH, SKIP, SOURCE, TO_THE_END, Batch, Counts, Failure, divided, total
from stagerunner.wire.frame import MARKED, MORE, Frame, Header, Metadata, pack_metadata, unpack_payload, unpack_spread
from stagerunner.wire.metrics import ORDINAL, ORIGIN, MetricsPage, create


def same(record):
    return record


def double(record):
    return record * 2


def small(record) -> int | None:
    stagerunner.count("seen")
    return record if record < 3 else None


def repeat(record):
    stagerunner.count("repeats", record)
    yield from [record] * record


def no_five(record):
    if record == 5:
        raise ValueError("five")
    return record


def two_only(record):
    if record == 2:
        enough()
    return record


def grow(record):
    for number in range(8):
        yield bytes([number]) * (PIECE // 4)


class Sum:
    def __init__(self):
        self.sum = 0

    def process(self, record):
        self.sum += record
        return record

    def flush(self):
        yield from [self.sum] * 10

    def snapshot(self):
        return self.sum

    def restore(self, data):
        self.sum = data


class Many:
    def process(self, record) -> None:
        pass

    def flush(self):
        yield from range(100_000)


class At:
    """A stage runner, and the frames it is fed one after the other."""

    def __init__(self, spec) -> None:
        self.fd = create(spec.slot_count, spec.places)
        self.page = MetricsPage(self.fd, spec.slot_count, spec.places)
        self.runner = StageRunner(spec, self.page)
        self.runner.setup()
        self.runner.pieces.encoder.weigh(1, 1)  # as if records had passed before; until then each one is a slice
        self.sequences = count()

    def feed(self, body, kind=DATA, flags=0, first=0, last=TO_THE_END, metadata=None, **more):
        header = Header(kind, flags, 1, next(self.sequences), more.pop("split", 0), first, last, **more)
        payload = pack_metadata(metadata or Metadata()) + pickle.dumps(body)
        return [
            (head, *unpack_payload(note + bytes(body))) for head, note, body in self.runner.feed(Frame(header, payload))
        ]

    def records(self, body, **keys):
        """What comes out, put together; the last piece's header and metadata."""
        parts = self.feed(body, **keys)
        return [record for *_, data in parts for record in pickle.loads(data)], *parts[-1][:2]


@pytest.fixture
def at():
    made = []

    def at(*stages, **settings):
        made.append(At(spec_for(*stages, **settings)))
        return made[-1]

    yield at
    for one in made:
        one.runner.close()
        one.page.close()
        os.close(one.fd)


def ledger(metadata):
    return {s: (c.taken, c.created, c.out, c.filtered, c.skipped, c.dead) for s, c in total(metadata.counts).items()}


def test_a_frame_passes_all_stages(at):
    records, header, metadata = at(double, small).records([0, 1, 2])

    assert records == [0, 2]
    assert (header.first, header.last, header.records, header.more) == (0, 3, 2, False)
    assert metadata.origins == [0, 1]
    assert ledger(metadata) == {SOURCE: (3, 0, 3, 0, 0, 0), 0: (3, 0, 3, 0, 0, 0), 1: (3, 0, 2, 1, 0, 0)}


def test_until_it_is_known_what_a_record_becomes_few_are_worked_on_at_once(at):
    runner = at(grow)
    runner.runner.pieces.encoder.ratio = PIECE

    parts = runner.feed(list(range(6)))

    assert parts[0][0].last == 1
    assert max(head.records for head, *_ in parts) <= 16
    assert sum(head.records for head, *_ in parts) == 48


def test_small_records_of_the_first_batch_are_seen_to_be_small_and_go_on_together(at):
    runner = at(same)
    runner.runner.pieces.encoder.ratio = PIECE

    assert [head.records for head, *_ in runner.feed(list(range(100)))] == [1, 99]
    assert [head.records for head, *_ in runner.feed(list(range(100)))] == [100]


def test_a_stage_that_gives_nothing_before_its_flush_is_not_fed_one_by_one(at):
    runner = at(work(Sum, 3), work(double, 4))
    runner.runner.pieces.encoder.ratio = PIECE

    assert len(runner.feed(list(range(1000)))) <= 12
    assert len(runner.feed(list(range(1000)))) == 1


def test_a_filter_that_has_given_nothing_yet_is(at):
    runner = at(small)
    runner.runner.pieces.encoder.ratio = PIECE

    assert [head.last for head, *_ in runner.feed([5, 6, 7])] == [1, 2, 3]


def test_a_quick_flush_of_small_records_leaves_in_ever_longer_batches(at):
    runner = at(work(Many, 3))
    runner.runner.pieces.encoder.ratio = PIECE
    runner.feed([1, 2])

    lengths = [head.records for head, *_ in runner.feed(3, kind=FLUSH, split=7)]

    assert sum(lengths) == 100_000
    assert lengths[0] == 16
    assert len(lengths) < 60


def test_without_stages_a_frame_is_copied(at):
    records, header, _ = at().records([1, 2])

    assert (records, header.records) == ([1, 2], 2)


def test_only_the_range_asked_for_is_read(at):
    records, header, metadata = at(same).records([10, 11, 12, 13], first=1, last=3)

    assert (records, header.first, header.last) == ([11, 12], 1, 3)
    assert ledger(metadata)[SOURCE][0] == 2


def test_a_later_runner_takes_records_with_their_origins(at):
    records, _, metadata = at(repeat, first=False).records(
        [2, 0, 1], metadata=Metadata(origins=[4, 6, 9]), first=3, last=12
    )

    assert (records, metadata.origins) == ([2, 2, 1], [4, 4, 9])


def test_what_grows_leaves_in_pieces_that_end_with_a_source_record(at):
    runner = at(grow)
    runner.feed([0])
    parts = runner.feed(list(range(20)))

    assert len(parts) > 1
    assert [head.piece for head, *_ in parts] == list(range(len(parts)))
    assert [head.more for head, *_ in parts] == [True] * (len(parts) - 1) + [False]
    edges = [(head.first, head.last) for head, *_ in parts]
    assert [first for first, _ in edges[1:]] == [last for _, last in edges[:-1]]
    assert (edges[0][0], edges[-1][1]) == (0, 20)
    assert sum(head.records for head, *_ in parts) == 160
    assert [bool(metadata.counts) for _, metadata, _ in parts] == [False] * (len(parts) - 1) + [True]


def test_a_frame_that_comes_in_pieces_has_counts_for_all_of_it_on_the_last(at):
    runner = at(same, first=False)
    runner.sequences = iter([0, 0])

    (first,) = runner.feed([1, 2], flags=MORE, first=0, last=2)
    (second,) = runner.feed([3], first=2, last=3, piece=1)

    assert (first[0].more, first[1].counts) == (True, [])
    assert (second[0].piece, ledger(second[1])) == (1, {0: (3, 0, 3, 0, 0, 0)})


def pairs(record):
    yield from [record] * 2


@stage.batch
def fewer(records) -> list[int | None]:
    return [None if record == 4 else record for record in records]


async def asked(record) -> int | None:
    return record if record % 2 else None


STAGES = (same, small, repeat, pairs, no_five, two_only, fewer, asked)


def through(at, places, body, last=TO_THE_END):
    """A frame through new workers, in each of which the first record goes by itself."""
    frames = [(Header(DATA, 0, 1, 0, 0, 0, last), pack_metadata(Metadata()) + pickle.dumps(body))]
    for index, position in enumerate(places):
        one = at(work(position, index, on_error="dead_letter"), first=index == 0, slots=(0,), slot_count=1)
        one.runner.pieces.encoder.ratio = PIECE
        frames = [(head, note + bytes(body)) for frame in frames for head, note, body in one.runner.feed(Frame(*frame))]
    return [(head, unpack_payload(payload)[0]) for head, payload in frames]


@pytest.mark.parametrize("places", list(permutations(STAGES, 2)) + list(permutations(STAGES[1:6], 3)))
def test_the_ledger_of_pieces_taken_are_those_of_the_same_records_alone(at, places):
    parts = through(at, places, [3, 5, 1, 2, 4, 0, 7, 8])
    failures, spreads = [], []

    for head, metadata in parts:
        failures += metadata.failures
        spreads += map(unpack_spread, metadata.spread)
        alone = through(at, places, [3, 5, 1, 2, 4, 0, 7, 8], head.last) if head.more else parts
        if two_only not in places or head.more:  # the counts of a frame that was cut are not used
            ledger = total(alone[-1][1].counts)
            assert divided(SOURCE, len(places) - 1, 0, head.last, failures, spreads) == list(ledger.values())


def test_a_failure_is_booked_and_the_rest_goes_on(at):
    records, _, metadata = at(work(no_five, on_error="skip"), work(same, 1)).records([4, 5, 6])

    assert records == [4, 6]
    assert [(f.stage, f.origin, f.type) for f in metadata.failures] == [(0, 1, "ValueError")]
    assert ledger(metadata)[0] == (3, 0, 2, 0, 1, 0)


def test_under_fail_the_frame_ends_before_the_failure(at):
    records, header, metadata = at(no_five, same).records([4, 4, 5, 6, 7])

    assert (records, header.last) == ([4, 4], 2)
    assert [f.origin for f in metadata.failures] == [2]


def test_a_result_that_can_not_be_sent_is_a_failure_of_its_stage(at):
    def unsendable(record):
        return (lambda: 1) if record == 1 else record

    records, _, metadata = at(work(unsendable, on_error="dead_letter")).records([0, 1, 2])

    assert records == [0, 2]
    assert [(f.stage, f.origin) for f in metadata.failures] == [(0, 1)]
    assert ledger(metadata)[0] == (3, 0, 2, 0, 0, 1)


def test_a_quarantined_record_is_not_called(at):
    quarantined = {(0, 1, 0): ("Killed", "it died twice")}

    records, _, metadata = at(work(no_five, on_error="skip")).records(
        [4, 5, 6], metadata=Metadata(quarantined=quarantined)
    )

    assert records == [4, 6]
    assert [(f.type, f.message) for f in metadata.failures] == [("Killed", "it died twice")]
    assert metadata.quarantined == quarantined


def test_a_stage_that_needs_no_more_stops_the_frames_behind_it(at):
    runner = at(two_only, same)

    records, header, metadata = runner.records([1, 2, 3, 4])
    assert (records, header.stop, header.last, metadata.stop) == ([1, 2], True, 2, 0)
    assert (runner.page.stop, runner.page.stop_stage) == (0, 0)

    records, _, _ = runner.records([5, 6], split=1)
    assert records == []


def test_the_sink_encodes_in_the_last_worker(at):
    class Shout:
        may_keep_results = "nothing"

        def encode(self, records):
            return "".join(f"{record}!".upper() for record in records).encode()

    (part,) = at(same, last=True, sinks=(EndSpec(offered(Shout)),)).feed(["a", "b"])

    assert bytes(part[2]) == b"A!B!"
    assert ledger(part[1])[1] == (2, 0, 2, 0, 0, 0)


def test_a_flush_is_data_where_its_stage_is_and_passes_elsewhere(at):
    runner = at(work(Sum, 3), work(double, 4))
    runner.feed([1, 2, 3])

    records, header, metadata = runner.records(3, kind=FLUSH, split=7)
    assert (records, header.kind, header.first, header.last) == ([12] * 10, DATA, 0, 10)
    assert ledger(metadata)[3] == (0, 10, 10, 0, 0, 0)

    (part,) = runner.feed(9, kind=FLUSH, split=8)
    assert (part[0].kind, pickle.loads(part[2])) == (FLUSH, 9)


@pytest.mark.parametrize("ranges", [[(0, 4), (4, TO_THE_END)], [(0, 1), (1, 2), (2, 10)], [(3, 7)]])
def test_a_flush_is_clipped_to_what_is_asked_for(at, ranges):
    runner = at(Sum)
    runner.feed([1])
    got = [runner.records(0, kind=FLUSH, split=7, first=first, last=last) for first, last in ranges]

    for (records, header, metadata), (first, last) in zip(got, ranges, strict=True):
        assert (header.first, header.last) == (first, min(last, 10))
        assert len(records) == header.last - header.first
        assert all(counts.balanced for counts in total(metadata.counts).values())


def test_a_barrier_collects_snapshots(at):
    runner = at(work(Sum, 2), work(same, 3))
    runner.feed([1, 2, 3])

    (part,) = runner.feed({0: "earlier"}, kind=BARRIER)

    assert (part[0].kind, pickle.loads(part[2])) == (BARRIER, {0: "earlier", 2: 6})


def test_a_skip_goes_on_untouched(at):
    runner = at(work(Sum, 2), work(same, 3))
    runner.feed([1, 2, 3])
    before = runner.page.slot(0).words.tolist()

    ((header, _, body),) = runner.feed("whatever", kind=SKIP)

    assert (header.kind, pickle.loads(body)) == (SKIP, "whatever")
    assert runner.page.slot(0).words.tolist() == before


def test_a_snapshot_is_given_back_at_setup(at):
    runner = at(Sum, snapshots={0: 40})
    runner.feed([2])

    assert runner.records(0, kind=FLUSH, split=1)[0] == [42] * 10


def test_a_marked_frame_says_which_record_it_is_at(at):
    seen = []
    runner = None

    def looking(record):
        seen.append(list(runner.page.slot(0).words[ORIGIN : ORDINAL + 1]))
        return record

    runner = at(looking)
    runner.feed([7, 8], flags=MARKED, first=0, last=2)

    assert [origin for origin, _ in seen] == [0, 1]


# What a flush gives


cuts = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def batches(sizes: list[int]) -> Iterator[Batch]:
    """A flush of the numbers from 0, in batches of these sizes."""
    first = 0
    for size in sizes:
        last = first + size
        yield Batch(list(range(first, last)), first, last, counts=[Counts(3, created=size, out=size)])
        first = last


@given(cuts, cuts)
def test_a_flush_can_be_cut_anywhere_and_goes_on_where_it_was(sizes, asked):
    whole, flushing, got, first = sum(sizes), {7: batches(sizes)}, [], 0
    for size in asked:
        for batch in clipped(flushing, 7, first, first + size):
            assert batch.first >= first
            assert batch.last <= first + size
            assert batch.counts[0].balanced
            got += batch.records
        first += size

    assert got == list(range(min(first, whole)))


@given(cuts, st.integers(0, 30), st.integers(1, 10))
def test_a_fresh_flush_gives_just_what_is_asked_for(sizes, first, size):
    found = [record for batch in clipped({0: batches(sizes)}, 0, first, first + size) for record in batch.records]

    assert found == list(range(sum(sizes)))[first : first + size]


def test_a_failure_stays_with_its_number():
    failure = Failure(3, 1, 0, "ValueError", "no", "skip")
    counts = [Counts(3, created=3, out=2, skipped=1)]
    flushing = {0: iter([Batch(["a", "c"], 0, 3, origins=[0, 2], failures=[failure], counts=counts)])}

    (first,), (second,) = [list(clipped(flushing, 0, *edges)) for edges in ((0, 2), (2, 3))]

    assert (first.records, first.failures, second.records, second.failures) == (["a"], [failure], ["c"], [])
    assert (first.counts[0].skipped, second.counts[0].skipped) == (1, 0)


def test_a_failure_where_the_flush_ends_is_part_of_it():
    failure = Failure(3, 2, 0, "ValueError", "no", "fail")

    def flushing():
        return {0: iter([Batch(["a", "b"], 0, 2, failures=[failure], counts=[Counts(3, created=2, out=2)])])}

    for first in (0, 1, 2):
        (found,) = clipped(flushing(), 0, first, 9)
        assert (found.records, found.failures) == (["a", "b"][first:], [failure])
