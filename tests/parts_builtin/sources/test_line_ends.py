from __future__ import annotations

from contextlib import ExitStack

import pytest

from stagerunner_parts.sources import line_ends
from stagerunner_parts.sources.inputs import find
from stagerunner_parts.sources.line_ends import FAR, NEAR, NOT_YET, WIDE, LineEnds


@pytest.fixture
def ends(write, monkeypatch):
    """Where the lines of this file end. Its `reads` are how many bytes were read each time."""

    read, closing = line_ends.read, ExitStack()

    def of(data: bytes) -> LineEnds:
        (file,) = find(write("a", data))
        found = LineEnds(file, closing.enter_context(file.opened()).fileno())
        found.reads = []

        def watched(file, fd, start, stop):
            found.reads.append(stop - start)
            return read(file, fd, start, stop)

        monkeypatch.setattr(line_ends, "read", watched)
        return found

    with closing:
        yield of


def end_of(search):
    """What the search returns, and how often it gave control back."""
    yielded = 0
    while True:
        try:
            assert next(search) is NOT_YET
            yielded += 1
        except StopIteration as found:
            return found.value, yielded


def all_ends(ends):
    at = 0
    while at < ends.file.size:
        at, _ = end_of(ends.after(at))
        yield at


@pytest.mark.parametrize("length", [1, 10, NEAR, WIDE - 1, WIDE, WIDE + 1, 100_000])
def test_every_line_ends_where_it_does(ends, length):
    assert list(all_ends(ends(20 * (b"x" * (length - 1) + b"\n")))) == [length * number for number in range(1, 21)]


def test_long_lines_take_few_reads(ends):
    long = ends(30 * (b"x" * 99_999 + b"\n"))
    list(all_ends(long))
    assert len(long.reads) < 2.5 * 30


def test_little_is_read_again_once_lines_are_short(ends):
    mixed = ends(b"x" * WIDE * 4 + b"\n" + b"y\n" * WIDE * 4)
    list(all_ends(mixed))
    assert mixed.reads[-2] == NEAR


def test_control_goes_back_while_a_line_has_no_end(ends):
    assert end_of(ends(b"x" * (3 * FAR)).after(0)) == (3 * FAR, 2)
