"""How programs are asked, and what becomes of those that misbehave."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager

import pytest

from stagerunner import Reject
from stagerunner_parts.programs.answering import ForEachRecord, ForTheRun
from stagerunner_parts.programs.command import command_of
from stagerunner_parts.programs.running import ProgramFailed

MOST = 2**20


@contextmanager
def opened(answering):
    answering.open()
    try:
        yield answering
    finally:
        answering.close()


def each(script, *, most=MOST, success=(0,)):
    return opened(ForEachRecord(command_of(script, shell=True), most, success))


def run(script, *, ends="one", most=MOST, success=(0,)):
    return opened(ForTheRun(command_of(script, shell=True), most, success, ends))


# A process for each record


def test_a_process_gets_the_record_and_its_output_is_the_answer():
    with each("cat; echo over") as program:
        assert program.answer(b"a\n") == b"a\nover\n"
        assert program.answer(b"") == b"over\n"


def test_much_in_both_directions_blocks_nobody():
    record = b"x" * 4_000_000
    with each("cat", most=len(record)) as program:
        assert program.answer(record) == record
    with each("head -c 1000000 /dev/zero; cat >/dev/null; echo", most=len(record)) as program:
        assert len(program.answer(record)) == 1_000_001


def test_a_program_need_not_read():
    with each("echo hi") as program:
        assert program.answer(b"x" * 4_000_000) == b"hi\n"
    with each("exec <&-; sleep 0.05; echo hi") as program:
        assert program.answer(b"x" * 4_000_000) == b"hi\n"


def test_a_bad_exit_status_is_a_failure_with_the_last_of_standard_error(capsys):
    with each("seq 9 >&2; echo oops >&2; exit 3") as program, pytest.raises(ProgramFailed) as failed:
        program.answer(b"")
    assert str(failed.value) == "the shell ended with exit status 3: 6\n7\n8\n9\noops"
    assert capsys.readouterr().err == "1\n2\n3\n4\n5\n6\n7\n8\n9\noops\n"


def test_statuses_may_be_allowed():
    with each("grep x", success=(0, 1)) as program:
        assert program.answer(b"a\n") == b""


def test_a_signal_is_named_after_a_second_try(tmp_path):
    with each(f"echo >>{tmp_path}/n; kill -SEGV $$") as program, pytest.raises(ProgramFailed, match="SIGSEGV"):
        program.answer(b"")
    assert (tmp_path / "n").read_text() == "\n\n"
    with each(f"mkdir {tmp_path}/first && kill -KILL $$; echo hi") as program:
        assert program.answer(b"") == b"hi\n"


def test_too_much_output_is_a_failure():
    with each("cat /dev/zero", most=100_000) as program, pytest.raises(ProgramFailed, match="over 100,000 bytes"):
        program.answer(b"")


def test_what_it_leaves_in_the_background_is_not_waited_for():
    with each("sleep 1 >/dev/null & echo hi") as program:
        assert program.answer(b"") == b"hi\n"


# One process


def test_one_process_answers_line_by_line():
    with run("n=0; while read -r x; do n=$((n+1)); echo $n:$x; done") as program:
        assert [program.answer(line) for line in (b"a\n", b"b", b"c\n")] == [b"1:a\n", b"2:b\n", b"3:c\n"]


def test_an_answer_may_end_with_a_blank_line():
    script = "while read -r n; do [ $n -gt 0 ] && seq $n; echo; done"
    with run(script, ends="until-blank-line") as program:
        assert [program.answer(n) for n in (b"2\n", b"0\n", b"20000\n")][:2] == [b"1\n2\n", b""]
    with run(r"while read -r n; do printf 'a\r\n\r\n'; done", ends="until-blank-line") as program:
        assert [program.answer(b"\n"), program.answer(b"\n")] == [b"a\r\n"] * 2


def test_a_record_of_two_lines_is_refused():
    with run("cat") as program:
        with pytest.raises(Reject, match=r"line break in it.*jsonl"):
            program.answer(b"a\nb\n")
        assert program.answer(b"c\n") == b"c\n"


def test_more_than_one_answer_is_a_failure():
    with run(r"while read -r x; do printf 'a\nb\n'; done") as program:
        with pytest.raises(ProgramFailed, match=r"more than one answer to a record: 'b\\n' is too much"):
            program.answer(b"1\n")
        with pytest.raises(ProgramFailed, match="more than one answer"):
            program.answer(b"2\n")


def test_a_record_that_kills_a_program_twice_fails_and_the_next_has_a_new_one(capsys):
    with run("while read -r x; do [ $x = 2 ] && kill -KILL $$; echo $x; done") as program:
        assert program.answer(b"1\n") == b"1\n"
        with pytest.raises(ProgramFailed, match="the shell ended with SIGKILL"):
            program.answer(b"2\n")
        assert program.answer(b"3\n") == b"3\n"


def test_a_program_that_dies_for_another_reason_costs_nothing(capsys):
    with run("while read -r x; do echo $$; done") as program:
        first = int(program.answer(b"\n"))
        os.kill(first, signal.SIGKILL)
        assert int(program.answer(b"\n")) != first


def test_a_program_that_ends_after_each_answer_is_started_again(capsys):
    with run("read -r x; echo $x") as program:
        assert [program.answer(line) for line in (b"a\n", b"b\n", b"c\n")] == [b"a\n", b"b\n", b"c\n"]


def test_half_an_answer_is_none():
    with run("read -r x; printf half; exit 4", success=(0, 4)) as program:
        with pytest.raises(ProgramFailed, match="exit status 4"):
            program.answer(b"\n")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("cat; echo total", "6 bytes after its last answer"),
        ("cat; exit 5", "exit status 5"),
    ],
)
def test_a_bad_end_is_told(script, why):
    with pytest.raises(ProgramFailed, match=why), run(script) as program:
        program.answer(b"a\n")


def test_much_is_written_to_standard_error_meanwhile(capsys):
    command = [sys.executable, "-c", "import sys; sys.stderr.write('x' * 10**6); print(input())"]
    with opened(ForTheRun(command_of(command, shell=False), MOST, (0,), "one")) as program:
        assert program.answer(b"a\n") == b"a\n"
    assert len(capsys.readouterr().err) == 10**6
