import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagerunner_parts.sources.cutting import HEAD, Cutter, Overlong, cut, first_end, last_end, records_in

QUOTE = b'"'
TEXTS = st.binary(max_size=60).map(lambda data: bytes(b'ab"\n'[byte % 4] for byte in data))


def ends(data, quote=QUOTE, odd=False):
    """The indexes behind all record ends, by walking over every byte."""
    found = []
    for index, byte in enumerate(data):
        odd ^= bytes([byte]) == quote
        if byte == 10 and not odd:
            found.append(index + 1)
    return found


@given(TEXTS, st.booleans())
def test_first_and_last_end(data, odd):
    found = ends(data, QUOTE, odd) or [0]
    assert first_end(data, QUOTE, odd) == found[0]
    assert last_end(data, QUOTE, odd) == found[-1]


@given(TEXTS)
def test_without_quotes_every_newline_ends_a_record(data):
    assert first_end(data, b"", False) == data.find(b"\n") + 1
    assert last_end(data, b"", False) == data.rfind(b"\n") + 1


@given(TEXTS)
def test_records_are_what_is_between_the_ends(data):
    borders = [0, *ends(data)]
    closed = [data[start : stop - 1] for start, stop in itertools.pairwise(borders)]
    rest = data[borders[-1] :]
    assert records_in(data, b"\n", QUOTE) == closed + [rest] * bool(rest)
    assert records_in(data.decode(), "\n", '"') == [record.decode() for record in records_in(data, b"\n", QUOTE)]


@given(TEXTS, st.integers(1, 70), st.sampled_from([b"", QUOTE]))
def test_a_cut_is_the_first_end_that_far_behind(tmp_path_factory, data, size, quote):
    path = tmp_path_factory.mktemp("cut") / "file"
    path.write_bytes(data)
    with open(path, "rb") as file:
        start = 0
        while start < len(data):
            wanted = [end for end in ends(data, quote) if end >= start + size]
            stop = cut(file.fileno(), start, size, len(data), quote)
            assert stop == (wanted[0] if wanted else len(data))
            start = stop


def test_a_file_that_became_shorter(write):
    with open(write("a", b"abc"), "rb") as file, pytest.raises(OSError, match="became shorter"):
        cut(file.fileno(), 0, 2, 10, b"")


@given(TEXTS, st.integers(1, 9), st.integers(0, 12), st.sampled_from([b"", QUOTE]))
def test_a_cutter_gives_whole_records_and_never_holds_a_long_one(data, size, longest, quote):
    cutter = Cutter(longest, quote)
    blocks = [block for at in range(0, len(data), size) for block in cutter.feed(data[at : at + size])]
    at, found = 0, []
    for block in [*blocks, *cutter.finish()]:
        span = block.span if isinstance(block, Overlong) else len(block)
        found += [block] if isinstance(block, Overlong) else records_in(block, b"\n", quote)
        at += span
        assert at in ends(data, quote) or at == len(data)
    assert at == len(data)
    assert len(found) == len(records_in(data, b"\n", quote))
    for record, whole in zip(found, records_in(data, b"\n", quote)):
        if isinstance(record, Overlong):
            assert record[:2] == (whole[:HEAD], len(whole))
            assert len(whole) > longest
        else:
            assert record == whole
