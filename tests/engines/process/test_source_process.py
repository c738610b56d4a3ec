from __future__ import annotations

import os
import pickle
import threading

import pytest
from support.specs import offered

from stagerunner.engines.process.source_process import SourceProcess
from stagerunner.records import DATA, END
from stagerunner.wire.pipe import Inbound
from stagerunner.wire.spec import ASKED, SourceSpec


def numbers(*, stop):
    yield from range(stop)


def broken(*, stop):
    yield from range(stop)
    raise ValueError("the line is dead")


@pytest.fixture
def fed():
    """Everything that a source process sends: the lists of records, and the text at the end."""

    def fed(found, records: int = 1000, **options):
        reading, out = os.pipe()
        life, alive = os.pipe()
        source_process = SourceProcess(SourceSpec(offered(found), options, 0.0), out, life)
        os.write(alive, records.to_bytes(ASKED, "little") * 10)
        running = threading.Thread(target=source_process.run)
        running.start()
        lists, text, pipe = [], b"", Inbound(reading, 10**7)
        more = True
        while more:
            header, payload = pipe.read()
            if header.kind == DATA:
                lists.append(pickle.loads(payload))
                assert header.records == len(lists[-1])
            else:
                assert header.kind == END
                text += payload
                more = header.more
        running.join()
        for fd in (reading, out, life, alive):
            os.close(fd)
        return lists, text.decode()

    return fed


@pytest.mark.parametrize(("stop", "records"), [(0, 10), (1, 10), (10, 10), (2500, 1000)])
def test_records_are_sent_in_order_and_frames_are_not_too_long(fed, stop, records):
    lists, text = fed(numbers, records, stop=stop)

    assert [record for part in lists for record in part] == list(range(stop))
    assert max(map(len, lists), default=0) <= records
    assert text == ""


def test_an_error_is_told_at_the_end_with_the_users_lines(fed):
    lists, text = fed(broken, stop=3)

    assert [record for part in lists for record in part] == [0, 1, 2]
    assert text.startswith("ValueError: the line is dead\n")
    assert "test_source_process.py" in text


def test_an_error_longer_than_a_control_frame_comes_in_pieces(fed):
    def wordy():
        yield 1
        raise ValueError("x" * 2000)

    assert "x" * 2000 in fed(wordy)[1]


def test_a_source_that_can_not_be_called_is_told(fed):
    assert fed(numbers, wrong=1)[1].startswith("TypeError")
