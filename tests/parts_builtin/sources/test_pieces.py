import os

import pytest

from stagerunner_parts.sources.cutting import Cutter, Overlong
from stagerunner_parts.sources.inputs import find
from stagerunner_parts.sources.pieces import Piece, Splitter


def piece(path, start, stop):
    (file,) = find(path)
    return Piece(str(path), start, stop, file=file)


def test_a_piece_of_a_file(write):
    path = write("a", b"one\ntwo\nthree\n")
    assert list(piece(path, 4, 14).blocks(Cutter(100))) == [(4, b"two\nthree\n")]


def test_a_piece_with_its_bytes():
    assert list(Piece("x", 9, 12, b"a\nb").blocks(Cutter(100))) == [(9, b"a\n"), (11, b"b")]
    assert list(Piece("x", 9, 99, Overlong(b"a", 89, 90)).blocks(Cutter(1))) == [(9, Overlong(b"a", 89, 90))]


def test_a_file_that_became_shorter(write):
    path = write("a", b"one\ntwo\n")
    whole = piece(path, 0, 8)
    os.truncate(path, 4)
    with pytest.raises(OSError, match="became shorter"):
        list(whole.blocks(Cutter(100)))


def test_a_splitter_makes_splits_of_whole_records():
    splitter = Splitter("x", Cutter(100), at=5, resumable=True)
    assert splitter.feed(b"on") == []
    (split,) = splitter.feed(b"e\ntwo\nth")
    assert split.data == Piece("x", 5, 13, b"one\ntwo\n")
    assert (split.size, split.position, split.most) == (8, ["x", 13], 8)
    (rest,) = splitter.feed(b"ree") + splitter.finish()
    assert rest.data == Piece("x", 13, 18, b"three")


def test_a_splitter_with_a_record_that_is_too_long():
    splitter = Splitter("x", Cutter(3))
    assert splitter.feed(b"abcde") == []
    splits = splitter.feed(b"f\ng\n")
    assert [split.data.content for split in splits] == [Overlong(b"abcdef", 6, 7), b"g\n"]
    assert [split.position for split in splits] == [None, None]


def test_a_splitter_with_a_head():
    def first_line(block):
        line, newline, _ = block.partition(b"\n")
        return (line.decode(),), len(line + newline)

    splitter = Splitter("x", Cutter(100), take_head=first_line)
    assert splitter.feed(b"a\n") == []
    (split,) = splitter.feed(b"b\n")
    assert split.data == Piece("x", 2, 4, b"b\n", ("a",))
