"""A program and its streams: no order of reading and writing blocks anyone."""

import os
import signal
from contextlib import contextmanager

import pytest

from stagerunner_parts.programs.command import command_of
from stagerunner_parts.programs.running import Program, ProgramFailed


@contextmanager
def started(script, most=2**20):
    program = Program(command_of(script, shell=True), most)
    try:
        yield program
    finally:
        program.kill()


def a_line(out):
    return out.endswith(b"\n")


def test_it_is_asked_again_and_again():
    with started("cat") as program:
        for line in (b"a\n", b"b\n"):
            program.exchange(line, a_line)
            assert bytes(program.out) == line
            program.out.clear()
        program.exchange(b"", lambda _: False, last=True)
        assert (program.ended, program.wait()) == (True, 0)


def test_what_it_writes_to_standard_error_is_shown_and_its_end_is_quoted(capfd):
    with started("seq 9 >&2; exit 5") as program:
        status = program.wait()
        assert program.how(status) == "the shell ended with exit status 5: 5\n6\n7\n8\n9"
    assert capfd.readouterr().err.split() == list("123456789")


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("exit 3", "the shell ended with exit status 3; `success` lists those that are no failure"),
        ("kill -KILL $$", "the shell ended with SIGKILL"),
        ("exit 0", "the shell ended with exit status 0"),
    ],
)
def test_how_it_ended(script, how):
    with started(script) as program:
        assert program.how(program.wait()) == how


def test_an_output_without_end_is_cut_off():
    with started("yes", most=1000) as program, pytest.raises(ProgramFailed, match="over 1,000 bytes for one record"):
        program.exchange(b"", lambda _: False)


def test_a_child_that_keeps_standard_error_open_is_not_waited_for():
    with started("sleep 60 >/dev/null & echo $!") as program:
        assert program.wait() == 0
        child = int(program.out)
    os.kill(child, signal.SIGKILL)  # it lives: nobody waited for it


def test_a_killed_program_is_reaped():
    with started("sleep 60") as program:
        program.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(program._process.pid, 0)
