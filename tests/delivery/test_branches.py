from __future__ import annotations

import pytest

from stagerunner.delivery.branches import ALL, BranchWriter, Lead
from stagerunner.errors import InternalError
from stagerunner.evaluate.branches import packed


class Writer:
    """A result writer that notes what it gets, and what is committed, in `order`."""

    def __init__(self, name, keeps, order):
        self.name, self.keeps, self.order = name, keeps, order
        self.got = b""

    def open(self, position):
        self.order.append((self.name, "open", position))

    def write(self, body, records):
        self.got += bytes(body)

    def position(self):
        return len(self.got)

    def commit(self, row):
        self.order.append((self.name, dict(row)))

    def pauses_dispatch(self):
        return self.name == "slow"


@pytest.fixture
def order():
    return []


def body(*texts):
    return memoryview(packed([(len(text), text) for text in texts]))


def test_each_sink_gets_its_share_and_an_empty_body_gives_nothing(order):
    writers = [Writer(name, "truncate", order) for name in "abc"]
    writer = BranchWriter(writers, {})
    writer.write(body(b"one", b"", b"3"), 3)
    writer.write(memoryview(b""), 0)

    assert [one.got for one in writers] == [b"one", b"", b"3"]
    assert (writer.position(), writer.keeps, writer.ahead) == ([3, 0, 1], "truncate", False)


def test_files_are_committed_before_tables_and_every_table_gets_the_positions_of_all(order):
    writer = BranchWriter([Writer("t", "transaction", order), Writer("f", "truncate", order)], {})
    writer.write(body(b"12", b"123"), 3)
    writer.commit({"position": 9})

    assert order == [("f", {"position": 9}), ("t", {"position": 9, "sink": [2, 3], "ahead": {}})]
    assert writer.keeps == "transaction"


def test_a_sink_that_is_ahead_skips_so_many_source_records_and_rows_say_what_is_left(order):
    writers = [Writer("t", "transaction", order), Writer("u", "transaction", order)]
    writer = BranchWriter(writers, {0: Lead(7, 5)})
    writer.open([1, 2])
    for records in (2, 3, 1):
        writer.coming(records)
        writer.write(body(b"x", b"y"), 1)
        writer.commit({})

    assert order[:2] == [("t", "open", 7), ("u", "open", 2)]
    assert [entry[1]["ahead"] for entry in order[2::2]] == [{"0": 3}, {}, {}]
    assert [one.got for one in writers] == [b"x", b"yyy"]
    assert writer.edges == []


def test_a_complete_sink_skips_flushes_too_and_another_one_does_not(order):
    writers = [Writer("t", "transaction", order), Writer("u", "transaction", order), Writer("v", "transaction", order)]
    writer = BranchWriter(writers, {0: Lead(7, ALL), 1: Lead(7, 4)})
    writer.coming(None)
    writer.write(body(b"x", b"y", b"z"), 1)

    assert [one.got for one in writers] == [b"", b"y", b"z"]
    assert writer.edges == [4]


def test_a_frame_across_the_edge_is_our_bug(order):
    writer = BranchWriter([Writer("t", "transaction", order), Writer("u", "transaction", order)], {0: Lead(7, 5)})
    with pytest.raises(InternalError, match="has had"):
        writer.coming(6)


def test_one_slow_reader_holds_all(order):
    writers = [Writer("fast", "nothing", order), Writer("slow", "nothing", order)]
    assert BranchWriter(writers, {}).pauses_dispatch()
    assert not BranchWriter(writers[:1], {}).pauses_dispatch()
