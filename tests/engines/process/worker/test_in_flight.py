from __future__ import annotations

import asyncio
import os
import pickle

import pytest
from support.hiring import hired, work

from stagerunner.engines.process.worker.in_flight import Overlap, overlaps
from stagerunner.engines.process.worker.stage_runner import Station
from stagerunner.records import DATA
from stagerunner.wire.frame import Frame, Header
from stagerunner.wire.metadata import Notes, pack_notes, unpack_payload
from stagerunner.wire.metrics import Page, create


def frame(sequence: int, *records: object) -> Frame:
    header = Header(DATA, 0, 1, sequence, sequence, 0, len(records), records=len(records))
    return Frame(header, pack_notes(Notes()) + pickle.dumps(list(records), 5))


async def later_first(number: int) -> int:
    await asyncio.sleep(0.02 if number == 0 else 0)
    return number


@pytest.fixture
def overlap():
    hire = hired(work(later_first, concurrency=2))
    meters = create(1)
    page = Page(meters, 1)
    station = Station(hire, page)
    station.setup()
    yield Overlap(station)
    station.close()
    page.close()
    os.close(meters)


def test_only_a_lone_async_stage_that_nobody_suspects_overlaps():
    def plain(number: int) -> int:
        return number

    assert overlaps(hired(later_first))
    assert not overlaps(hired(plain))
    assert not overlaps(hired(later_first, later_first))
    assert not overlaps(hired(later_first, watch=True))


def test_frames_begun_side_by_side_leave_in_sequence(overlap):
    overlap.begin(frame(0, 0))
    overlap.begin(frame(1, 1))
    assert not overlap.room()

    landed = []
    while overlap.under_way:
        landed += overlap.landed(None)

    assert [header.sequence for header, _, _ in landed] == [0, 1]
    assert [pickle.loads(body) for _, _, body in landed] == [[0], [1]]
    assert all(unpack_payload(notes + body)[0].counts for _, notes, body in landed)
