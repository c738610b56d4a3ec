from __future__ import annotations

import pickle

from support.hiring import hired

from stagerunner.engines.process.worker.decode import Decoder
from stagerunner.engines.process.worker.frame_context import Passage
from stagerunner.evaluate.ends import Given, Reading
from stagerunner.records import SOURCE, WHOLE, Counts
from stagerunner.window.kinds import DATA
from stagerunner.wire.frame import Header
from stagerunner.wire.metadata import Notes
from stagerunner.wire.payload import Cargo


def same(record):
    return record


def decoded(page, records, notes=None, reading=None, sequence=0, first=10):
    header = Header(DATA, 0, 1, sequence, 0, first, first + len(records), 0, len(records))
    passage = Passage(header)
    decoder = Decoder(hired(same), page, reading, Cargo(None, 1))
    return decoder.batch(header, notes or Notes(), memoryview(pickle.dumps(records)), passage), passage


def test_a_frame_between_stages_is_a_batch_of_its_range(page):
    batch, passage = decoded(page, ["a", "b"], Notes(origins=[10, 10]))

    assert (batch.records, batch.first, batch.last, batch.origins) == (["a", "b"], 10, 12, [10, 10])
    assert passage.tally == []


def test_the_first_worker_reads_the_split_and_books_what_the_source_gave(page):
    batch, passage = decoded(page, ["a", "b", "c"], reading=Reading(Given(), "fail"), first=1)

    assert (batch.records, batch.first, batch.last) == (["b", "c"], 1, 3)
    assert passage.tally == [Counts(SOURCE, taken=2, out=2)]


def test_nothing_is_wanted_of_a_frame_beyond_a_stop(page):
    page.stop_stage, page.stop = 0, 4

    batch, passage = decoded(page, ["a"], sequence=5)

    assert (batch.records, passage.cut) == ([], 0)


def test_what_is_convicted_whole_is_not_even_unpickled(page):
    notes = Notes(convicted={(0, 10, WHOLE): ("Killed", "twice")})
    header = Header(DATA, 0, 1, 0, 0, 10, 11, 0, 2)

    batch = Decoder(hired(same), page, None, Cargo(None, 1)).batch(
        header, notes, memoryview(b"no pickle"), Passage(header)
    )

    assert batch.records == []
    assert [(failure.type, failure.ordinal) for failure in batch.failures] == [("Killed", 0), ("Killed", 1)]
