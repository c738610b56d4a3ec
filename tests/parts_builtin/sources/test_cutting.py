import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagerunner_parts.sources.cutting import BEGIN, HEAD, LINES, START, Cutter, Overlong, Rows

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
