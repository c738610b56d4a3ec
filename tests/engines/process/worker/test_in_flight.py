from __future__ import annotations

import asyncio
import os
import pickle

import pytest
from support.specs import spec_for, work

from stagerunner.engines.process.worker.in_flight import Overlap, overlaps
from stagerunner.engines.process.worker.stage_runner import StageRunner
from stagerunner.records import DATA
from stagerunner.wire.frame import Frame, Header
from stagerunner.wire.metadata import Metadata, pack_metadata, unpack_payload
from stagerunner.wire.metrics import MetricsPage, create


def frame(sequence: int, *records: object) -> Frame:
    header = Header(DATA, 0, 1, sequence, sequence, 0, len(records), records=len(records))
    return Frame(header, pack_metadata(Metadata()) + pickle.dumps(list(records), 5))


async def later_first(number: int) -> int:
    await asyncio.sleep(0.02 if number == 0 else 0)
    return number


@pytest.fixture
def overlap():
    spec = spec_for(work(later_first, concurrency=2))
    metrics = create(1, 2)
    page = MetricsPage(metrics, 1, 2)
    runner = StageRunner(spec, page)
    runner.setup()
    yield Overlap(runner)
    runner.close()
    page.close()
    os.close(metrics)


def test_only_a_lone_async_stage_overlaps():
    def plain(number: int) -> int:
        return number

    assert overlaps(spec_for(later_first))
    assert not overlaps(spec_for(plain))
    assert not overlaps(spec_for(later_first, later_first))


def test_frames_begun_side_by_side_leave_in_sequence(overlap):
    overlap.begin(frame(0, 0))
    overlap.begin(frame(1, 1))
    assert not overlap.room()

    landed = []
    while overlap.under_way:
        landed += overlap.landed(None)

    assert [header.sequence for header, _, _ in landed] == [0, 1]
    assert [pickle.loads(body) for _, _, body in landed] == [[0], [1]]
    assert all(unpack_payload(metadata + body)[0].counts for _, metadata, body in landed)


def test_every_call_in_flight_is_noted_until_it_ends(overlap):
    overlap.begin(frame(4, 0))
    overlap.begin(frame(5, 1))
    slot = overlap._runner.slots[0]
    assert sorted(slot.running()) == [(4, 0, 4, 1), (5, 0, 5, 1)]

    while overlap.under_way:
        list(overlap.landed(None))

    assert slot.running() == []
