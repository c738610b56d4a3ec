from __future__ import annotations

import pickle

from support.specs import spec_for

from stagerunner.engines.worker.decode import Decoder
from stagerunner.engines.worker.frame_context import FrameContext
from stagerunner.evaluate.source_reader import GivenRecords, SourceReader
from stagerunner.records import DATA, SOURCE, WHOLE, Counts
from stagerunner.wire.frame import Header, Metadata
from stagerunner.wire.payload import PayloadCodec


def same(record):
    return record


def decoded(page, records, metadata=None, reading=None, sequence=0, first=10):
    header = Header(DATA, 0, 1, sequence, 0, first, first + len(records), 0, len(records))
    context = FrameContext(header)
    decoder = Decoder(spec_for(same), page, reading, PayloadCodec(None, 1))
    return decoder.batch(header, metadata or Metadata(), memoryview(pickle.dumps(records)), context), context


def test_a_frame_between_stages_is_a_batch_of_its_range(page):
    batch, context = decoded(page, ["a", "b"], Metadata(origins=[10, 10]))

    assert (batch.records, batch.first, batch.last, batch.origins) == (["a", "b"], 10, 12, [10, 10])
    assert context.tally == []


def test_the_first_worker_reads_the_split_and_the_ledger_what_the_source_gave(page):
    batch, context = decoded(page, ["a", "b", "c"], reading=SourceReader(GivenRecords(), "fail"), first=1)

    assert (batch.records, batch.first, batch.last) == (["b", "c"], 1, 3)
    assert context.tally == [Counts(SOURCE, taken=2, out=2)]


def test_nothing_is_wanted_of_a_frame_beyond_a_stop(page):
    page.stop_stage, page.stop = 0, 4

    batch, context = decoded(page, ["a"], sequence=5)

    assert (batch.records, context.cut) == ([], 0)


def test_what_is_quarantined_whole_is_not_even_unpickled(page):
    metadata = Metadata(quarantined={(0, 10, WHOLE): ("Killed", "twice")})
    header = Header(DATA, 0, 1, 0, 0, 10, 11, 0, 2)

    batch = Decoder(spec_for(same), page, None, PayloadCodec(None, 1)).batch(
        header, metadata, memoryview(b"no pickle"), FrameContext(header)
    )

    assert batch.records == []
    assert [(failure.type, failure.ordinal) for failure in batch.failures] == [("Killed", 0), ("Killed", 1)]
