import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagerunner_parts.sources.csv import Rows
from stagerunner_parts.sources.inputs import find
from stagerunner_parts.sources.pieces import (
    BEGIN,
    HEAD,
    LINES,
    LONG,
    START,
    Cutter,
    Overlong,
    Piece,
    Splitter,
    lines_of,
)


def piece(path, start, stop):
    (file,) = find(path)
    return Piece(str(path), start, stop, file=file)


@given(st.lists(st.sampled_from((0, 1, LONG - 1, LONG, 2 * LONG)), min_size=1, max_size=6))
def test_lines_however_long_they_are(lengths):
    *ended, last = lines = ["x" * length for length in lengths]
    text = "\n".join(lines)
    assert lines_of(text, "\n") == (lines if last else ended)
    assert lines_of(text.encode(), b"\n") == text.encode().split(b"\n")[: None if last else -1]


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


# Where records end


ROWS = Rows('"', ",")
REMARKED = Rows('"', ",", "#")
BITS = [b"#", b"\n#", b"a", b'"', b",", b"\n", b'""', b',"', b'",', b'"\n', b'"\r\n', b"\x01"]
TEXTS = st.lists(st.sampled_from(BITS), max_size=30).map(b"".join)
FAR = 10**9


def row_end(data, at):
    """Behind the row that begins here and has a newline at its end, 0 if there is none: by walking over every byte."""
    state = "start"
    while at < len(data):
        byte = data[at : at + 1]
        if state == "quoted":
            if data.startswith(b'""', at):
                at += 1
            elif byte == b'"':
                state = "plain"
        elif byte == b"\n":
            return at + 1
        elif byte == b'"' and state == "start":
            state = "quoted"
        else:
            state = "start" if byte == b"," else "plain"
        at += 1
    return 0 if state == "quoted" else len(data)


def is_line(data, at, rule):
    return rule is LINES or (rule is REMARKED and data.startswith((b"#", b"\xef\xbb\xbf#"), at))


def records(data, longest=FAR, rule=ROWS):
    """What a file's records are, however it is read."""
    at, found = 0, []
    while at < len(data):
        line = data.find(b"\n", at) + 1 or len(data)
        end = line if is_line(data, at, rule) else row_end(data, at) or line
        if len(data[at:end].removesuffix(b"\n")) > longest:
            end = line
        found.append(data[at:end].removesuffix(b"\n"))
        at = end
    return found


@given(TEXTS, st.integers(0, 40))
def test_a_row_that_never_closes_or_grows_too_long_is_its_first_line(data, longest):
    assert ROWS.records(data, longest) == records(data, longest)
    assert REMARKED.records(data, longest) == records(data, longest, REMARKED)
    assert LINES.records(data, longest) == records(data, longest, LINES)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'1,5" disk\n2,x\n', [b'1,5" disk', b"2,x"]),
        (b'1,"a\nb"\n2,x\n', [b'1,"a\nb"', b"2,x"]),
        (b'1,"never\n2,x\n3,y\n', [b'1,"never', b"2,x", b"3,y"]),
        (b'1,"a"b"\n2,x\n', [b'1,"a"b"', b"2,x"]),
        (b'1,"a""\n2"\n3,x\n', [b'1,"a""\n2"', b"3,x"]),
        (b'1,x"\n2,",\n"\n3,x', [b'1,x"', b'2,",\n"', b"3,x"]),
    ],
)
def test_a_quote_opens_a_field_at_its_start_only(data, found):
    assert ROWS.records(data, FAR) == found


@given(TEXTS, st.sampled_from([ROWS, REMARKED]))
def test_the_last_end_is_one_whichever_way_it_is_found(data, rule):
    """By counting quotes where that is allowed, else by reading the rows."""
    assert rule.last_end(data, FAR) == max(rule._ends(data, FAR, final=False), default=0)
    ends = itertools.accumulate(len(record) + 1 for record in records(data, rule=rule))
    assert rule.last_end(data, FAR) in (0, *ends)


@given(TEXTS, st.integers(0, 12), st.sampled_from([(ROWS, START), (REMARKED, BEGIN)]))
def test_a_scan_goes_on_where_it_left_off(data, cut, how):
    rule, state = how
    whole = rule.scan(data, state)
    end, state = rule.scan(data[:cut], state)
    if not end:
        end, state = rule.scan(data[cut:], state)
        end += cut if end else 0
    assert (end, state if not end else 0) == (whole[0], whole[1] if not whole[0] else 0)


@given(TEXTS, st.integers(1, 9), st.integers(0, 25), st.sampled_from([LINES, ROWS, REMARKED]))
def test_a_cutter_gives_the_same_records_however_they_come_and_never_holds_a_long_one(data, size, longest, rule):
    cutter = Cutter(longest, rule)
    blocks = [block for at in range(0, len(data), size) for block in cutter.feed(data[at : at + size])]
    blocks += cutter.finish()
    assert sum(block.span if isinstance(block, Overlong) else len(block) for block in blocks) == len(data)
    found = []
    for block in blocks:
        found += [block] if isinstance(block, Overlong) else rule.records(block, longest)
    wanted = records(data, longest, rule)
    assert len(found) == len(wanted)
    for record, whole in zip(found, wanted):
        if isinstance(record, Overlong):
            assert record[:2] == (whole[:HEAD], len(whole))
            assert len(whole) > longest
        else:
            assert record == whole


def test_a_comment_that_comes_in_two_parts_ends_with_its_line():
    cutter = Cutter(100, REMARKED)
    assert cutter.feed(b'1,2\n#,"x') == [b"1,2\n"]
    assert cutter.feed(b"y\n") == [b'#,"xy\n']
