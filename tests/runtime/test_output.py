from __future__ import annotations

import os
import selectors

import pytest

from stagerunner.delivery.writers import StdoutWriter
from stagerunner.errors import ReaderGone, RunFailed
from stagerunner.events import Output
from stagerunner.runtime.output import LONGEST_LINE, PrintedLines, StdoutDrain


@pytest.fixture
def told():
    return []


@pytest.fixture
def lines(told):
    return PrintedLines(told.append)


def test_lines_are_told_whole_however_they_come(lines, told):
    for data in (b"one\ntw", b"o\nth", b"ree\n"):
        lines("parse", 1, data)

    assert told == [Output("parse", 1, text) for text in ("one", "two", "three")]


def test_the_workers_lines_are_kept_apart(lines, told):
    lines("parse", 0, b"a")
    lines("parse", 1, b"b\n")
    lines("parse", 0, b"c\n")

    assert [line.text for line in told] == ["b", "ac"]


def test_what_is_left_is_told_at_the_end(lines, told):
    lines("parse", 0, b"no newline")
    lines("parse", 0, b"")

    assert [line.text for line in told] == ["no newline"]


def test_a_line_without_end_is_told_in_parts(lines, told):
    lines("parse", 0, b"x" * (LONGEST_LINE + 1))

    assert len(told[0].text) == LONGEST_LINE + 1


def test_bytes_that_are_no_text_are_told_all_the_same(lines, told):
    lines("parse", 0, b"\xff\n")

    assert told[0].text == "\\xff"


CRASH = (
    b"Fatal Python error: Segmentation fault\n\nCurrent thread 0x%x (most recent call first):\n"
    b'  File "s.py", line %d in crash\n'
)


def test_the_stack_of_a_crash_is_told_once(lines, told):
    for worker, thread, line in ((0, 10, 3), (0, 11, 3), (1, 12, 3), (0, 13, 4)):
        lines("parse", worker, b"hello\n" + CRASH % (thread, line))
        lines("parse", worker, b"")

    assert [output.text for output in told].count("hello") == 4
    assert [output.text for output in told if "File" in output.text] == [
        '  File "s.py", line 3 in crash',
        '  File "s.py", line 4 in crash',
    ]
    assert [output.text for output in told].count("Fatal Python error: Segmentation fault") == 2


def test_crashes_of_two_stages_are_both_told(lines, told):
    for stage in ("parse", "store"):
        lines(stage, 0, CRASH % (10, 3))
        lines(stage, 0, b"")

    assert [output.stage for output in told if "File" in output.text] == ["parse", "store"]


class Pipe:
    """A result writer, a drain that writes what it holds to a pipe, and the pipe's other end."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.writer = StdoutWriter(object())
        self.drain = StdoutDrain(self.writer, self.selector, lambda: self.writing)

    def take(self, data: bytes) -> None:
        self.writer.write(memoryview(data), 1)

    def turn(self) -> bool:
        """Look once whether something can be written; whether it could."""
        self.drain.watch()
        ready = self.selector.select(0)
        for key, _ in ready:
            key.data()
        return bool(ready)


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.selector.close()
    for fd in (pipe.reading, pipe.writing):
        try:
            os.close(fd)
        except OSError:
            pass


def test_everything_is_written_a_little_at_a_time(pipe):
    data = bytes(range(256)) * 1000
    pipe.take(data[:100_000])
    pipe.take(data[100_000:])
    got = b""
    while not pipe.drain.done:
        if not pipe.turn():
            got += os.read(pipe.reading, 10**6)
    got += os.read(pipe.reading, 10**6)

    assert got == data
    assert pipe.writer.queued == 0


def test_a_full_pipe_is_never_waited_for(pipe):
    pipe.take(bytes(10**6))

    while pipe.turn():
        pass

    assert not pipe.drain.done
    assert os.get_blocking(pipe.writing)


def test_nothing_is_watched_while_there_is_nothing_to_write(pipe):
    pipe.take(b"x")
    pipe.turn()
    pipe.turn()

    assert not pipe.selector.get_map()


@pytest.mark.parametrize(("stdout", "error"), [(True, ReaderGone), (False, RunFailed)])
def test_a_reader_that_has_left_ends_the_run(pipe, stdout, error):
    pipe.writer.stdout = stdout
    os.close(pipe.reading)
    pipe.take(b"x")

    with pytest.raises(error, match="reader of"):
        pipe.turn()


def test_nothing_is_done_before_somebody_reads(pipe):
    reader = []
    pipe.drain = StdoutDrain(pipe.writer, pipe.selector, lambda: pipe.writing if reader else None)
    assert not pipe.turn()
    assert not pipe.drain.done
    reader.append("here")
    pipe.turn()
    assert pipe.drain.done


def test_a_file_is_written_at_once(tmp_path):
    writer = StdoutWriter(object())
    writer.write(memoryview(b"x" * 10**6), 1)
    with selectors.DefaultSelector() as selector, open(tmp_path / "out", "wb") as file:
        StdoutDrain(writer, selector, file.fileno).watch()

    assert (tmp_path / "out").read_bytes() == b"x" * 10**6
