"""What the sources that read files of records have in common, tried with each of them."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from support.compressed import SUFFIXES, compressed

from stagerunner import Malformed, Split, Want
from stagerunner_parts.sources import line_ends, pieces
from stagerunner_parts.sources.csv import Csv
from stagerunner_parts.sources.json import Json
from stagerunner_parts.sources.jsonl import Jsonl
from stagerunner_parts.sources.lines import Lines
from stagerunner_parts.sources.pieces import Overlong, Piece

LINES = "\ufeffone\r\n\n\nfour äöü\n\nsix".encode() + b"\nseven \xff\n" + b"long" * 20 + b"\nlast"
JSONL = b'{"a": 1}\r\n\n[1, "\xc3\xa4"]\n  \n"text"\n{broken\nnull\n1 2\n"' + b"long" * 20 + b'"\n5'
CSV = (
    b'\xef\xbb\xbfa,b\r\n1,2\n\n"x ""y""\nz",3\r\n1,2,3\nonly\n"' + b"long" * 20 + b'\n",1\nst"ray,1\n2,"x\n\xff,1\n5,6'
)
COMMENTED = (
    b'# of, "old\na,b\n#\n1,2\n # x,3\n"x\n# no",4\n# it\'s,"\n\n5\n6,7,8\n"\n#,"'
    + b"long" * 20
    + b'\n9,"\n"x"y,2\n# z\n10,11'
)


class Lenient(Csv):
    def __init__(self, *, path):
        super().__init__(path=path, comment="#", extras="ignore", missing="fill")


JSON = (
    b'\xef\xbb\xbf {"x": {"at": [9]}, "it\\u0022s": [1], "at": '
    b'[ {"a": 1},\r\nnull , "x,]\\"\\\\", [1, "\xc3\xa4"],{"b": ],'
    b'\n \xff,,"' + b"long" * 20 + b'",\n{"c": {"d": [[]]}}, "n\xc3\xa4,", 5\n], "at": [2], "more": "]}"}\n'
)


class Within(Json):
    def __init__(self, *, path):
        super().__init__(path=path, at="at")


LINE_BY_LINE = [(Lines, LINES), (Jsonl, JSONL), (Csv, CSV), (Lenient, COMMENTED)]
SOURCES = [*LINE_BY_LINE, (Within, JSON), (Json, JSON[JSON.index(b"[ {") : JSON.index(b', "at": [2')])]


@pytest.fixture(params=SOURCES, ids=lambda pair: pair[0].__name__.lower())
def kind(request):
    return request.param


def made(kind, path, longest=60):
    source = kind(path=path)
    source.max_record = longest
    return source


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("longest", [8, 60, 1000])
def test_however_it_is_cut_the_records_are_the_same(write, items, kind, suffix, longest):
    whole = items(made(kind[0], write("whole", kind[1]), longest))
    path = write("a" + suffix, kind[1])
    for size in (1, 2, 3, 7, 20, 50, 100):
        assert items(made(kind[0], path, longest), size) == whole
    assert any(isinstance(item, Malformed) for item in whole)


@pytest.mark.parametrize("longest", [8, 60, 1000])
def test_standard_input_gives_the_same_records(write, items, fed, kind, longest):
    whole = items(made(kind[0], write("whole", kind[1]), longest))
    for size in (1, 2, 3, 7, 20, 50, 100, 1000):
        assert fed(made(kind[0], Path("-"), longest), kind[1], size) == whole


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_position_goes_on_where_its_split_ends(write, items, kind, suffix):
    source = made(kind[0], [write("a" + suffix, kind[1]), write("b" + suffix, kind[1])])
    whole, read = items(source), 0
    for split in [split for split in source.splits(None, Want(9)) if split.most]:
        found = list(source.read(split))
        assert len(found) <= split.most
        read += len(found)
        after = json.loads(json.dumps(split.position))
        assert items(made(kind[0], source.path), 30, after) == whole[read:]
    assert read == len(whole)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("longest", [8, 60, 1000])
@pytest.mark.parametrize("number", [1, 2, 3, 100])
def test_a_split_has_just_as_many_records_as_are_wanted(write, items, kind, suffix, longest, number):
    whole = items(made(kind[0], write("whole", kind[1]), longest))
    source = made(kind[0], [write("a" + suffix, kind[1]), write("b" + suffix, kind[1])], longest)
    for size in (1, 7, 50, 1000):
        splits = [split for split in source.splits(None, Want(size, number, exact=True)) if split.most]
        found = [list(source.read(split)) for split in splits]
        assert [item for items in found for item in items] == whole * 2
        assert max(map(len, found)) <= number
        ends = {index for index, split in enumerate(splits) if index + 1 == len(splits) or _breaks(splits, index)}
        assert all(len(items) == number for index, items in enumerate(found) if index not in ends)
        for split, items_before in zip(splits, range(len(found)), strict=True):
            rest = [item for items in found[items_before + 1 :] for item in items]
            again = source.splits(json.loads(json.dumps(split.position)), Want(size, number, exact=True))
            assert [item for one in again if one.most for item in source.read(one)] == rest


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("first", [1, 2, 5])
def test_records_are_cut_by_number_only_as_long_as_that_is_wanted(write, items, kind, suffix, first):
    source = made(kind[0], write("a" + suffix, kind[1]), 50)
    whole = items(source)
    want, found = Want(1000, 1, exact=True), []
    for split in source.splits(None, want):
        if split.most:
            found.append(list(source.read(split)))
        if len(found) == first:
            want.exact = False

    assert [item for some in found for item in some] == whole
    assert [len(some) for some in found[:first]] == [1] * first


def test_lines_that_have_to_be_counted_are_read_once(write, monkeypatch):
    came = []
    monkeypatch.setattr(line_ends, "read", lambda *span: came.append(pieces.read(*span)) or came[-1])
    content = (b"x" * 49_999 + b"\n") * 20
    splits = list(made(Lines, write("a", content), 50_000).splits(None, Want(100_000, 3, exact=True)))

    assert [split.size for split in splits] == [150_000] * 6 + [100_000]
    assert sum(map(len, came)) <= 1.1 * len(content)


def _breaks(splits, index):
    """Whether nothing may be added to this split: another file follows, or a line too long to be held."""
    piece, behind = Piece(*splits[index].data), Piece(*splits[index + 1].data)
    return piece.name != behind.name or any(isinstance(one.content, Overlong) for one in (piece, behind))


def test_a_split_may_be_of_another_size_each_time(write, kind):
    source = made(kind[0], write("a", kind[1]))
    want, random_size = Want(1), random.Random(7)
    splits = []
    for split in source.splits(None, want):
        want.size = random_size.randint(1, 40)
        splits.append(split)
    assert [item for split in splits for item in source.read(split)] == [
        item for split in source.splits(None, Want()) for item in source.read(split)
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_record_is_located_where_it_begins(write, kind, suffix):
    source = made(kind[0], write("a" + suffix, kind[1]))
    for split in source.splits(None, Want(40)):
        for number, item in enumerate(source.read(split)):
            name, offset, *_ = source.locate(split, number)
            assert name == str(source.path)
            alone = Split(Piece("x", offset, 0, kind[1][offset : split.data.stop], split.data.head), 0)
            assert next(iter(source.read(alone))) == item


def test_the_identity_and_size(write, kind):
    plain, packed = write("a", kind[1]), write("a.gz", kind[1])
    assert kind[0](path=plain).identity() == json.loads(json.dumps(kind[0](path=plain).identity()))
    assert kind[0](path=[plain, write("b", b"12345")]).size() == len(kind[1]) + 5
    assert kind[0](path=[plain, packed]).size() is None
    assert kind[0](path=Path("-")).size() is None
    assert kind[0](path=Path("-")).identity() == []


def test_the_size_at_opening_is_the_end(write, items):
    path = write("a", b"one\ntwo\n")
    source = Lines(path=path)
    source.check()
    with open(path, "ab") as file:
        file.write(b"three\n")
    assert items(source) == ["one", "two"]


def test_standard_input_is_not_split():
    source = Lines(path=Path("-"))
    source.check()
    assert source.stdin
    with pytest.raises(ValueError, match="has no splits"):
        next(source.splits(None, Want()))


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("kept", [20, 2000, -1])
def test_a_compressed_file_that_is_cut_off(write, items, suffix, kept):
    path = write(f"a{suffix}", random.Random(1).randbytes(3000))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(OSError, match=rf"a\{suffix} can't be decompressed: Compressed file ended before"):
        items(Lines(path=path))


def test_a_file_that_is_not_compressed_as_its_name_says(tmp_path, items):
    for suffix in SUFFIXES[1:]:
        compressed(suffix, b"")  # skips if it can't be tried
        (tmp_path / f"a{suffix}").write_bytes(b"plain\n" * 10)
        with pytest.raises(OSError):
            items(Lines(path=tmp_path / f"a{suffix}"))


LONG_LINE = """
import resource, sys
from pathlib import Path
from stagerunner import Want
from stagerunner_parts.sources.lines import Lines
source = Lines(path=Path(sys.argv[1]))
source.max_record = 2**20
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = [item for split in source.splits(None, Want()) for item in source.read(split)]
assert [found[0], found[2]] == ["first", "last"], found
assert (found[1].type, len(found[1].record)) == ("TooLarge", 256)
assert f"{50 * 2**20:,} bytes" in found[1].message
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="ru_maxrss is in other units")
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_of_50_megabytes_is_not_held(write, suffix):
    path = write("a" + suffix, b"first\n" + b"x" * (50 * 2**20) + b"\nlast\n")
    done = subprocess.run([sys.executable, "-c", LONG_LINE, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16


@pytest.mark.parametrize("kind", LINE_BY_LINE, ids=lambda pair: pair[0].__name__.lower())
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_parent_looks_for_a_record_end_a_little_at_a_time(write, kind, suffix):
    """A step reads a megabyte or so, whatever the size of the file, so signals are heard in between."""
    path = write("a.csv" + suffix, b"a,b\n" + b"\0" * (20 * 2**20) + b"\nlast,1\n")
    source = made(kind[0], path, 2**20)
    found = list(source.splits(None, Want()))
    assert [split.most for split in found].count(0) >= 15
    items = [item for split in found if split.most for item in source.read(split)]
    long = next(item for item in items if isinstance(item, Malformed) and item.type == "TooLarge")
    assert f"{20 * 2**20:,} bytes" in long.message


def test_a_line_that_is_too_long_is_not_sent_to_be_read(write):
    source = made(Lines, write("a", b"one\n" + b"x" * 5000 + b"\ntwo\n"), 100)
    splits = [split for split in source.splits(None, Want(10)) if split.most]
    assert [split.data.content and split.data.content.length for split in splits] == [None, 5000, None]
    assert [split.position[1] for split in splits] == [4, 5005, 5009]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_added_while_a_file_is_read_is_not_read(write, suffix, kind):
    path = write("a" + suffix, kind[1])
    source = made(kind[0], path)
    whole = [item for split in source.splits(None, Want()) for item in source.read(split)]
    source = made(kind[0], path)
    source.check()
    with open(path, "ab") as file:
        file.write(path.read_bytes())
    assert [item for split in source.splits(None, Want(9)) for item in source.read(split)] == whole


def test_a_file_that_is_emptied_and_filled_again_between_two_splits_gives_no_torn_line(write):
    path = write("a", b"".join(b"%06d\n" % n for n in range(1000)))
    source = Lines(path=path)
    splits = source.splits(None, Want(700))
    first, second = next(splits), next(splits)
    assert len(list(source.read(first))) == 100
    path.write_bytes(b"longer than before\n" * 1000)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    with pytest.raises(OSError, match="was overwritten"):
        list(source.read(second))


def test_upper_case_endings_mean_the_same(write, items):
    path = write("a.gz", b"one\ntwo\n")
    assert items(Lines(path=path.rename(path.with_name("A.LOG.GZ")))) == ["one", "two"]


def test_what_comes_compressed_from_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.gz")
    with pytest.raises(ValueError, match="is a stream; decompress it first"):
        Lines(path=tmp_path / "a.gz").check()
