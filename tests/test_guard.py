from __future__ import annotations

import errno
import re
import signal
from pathlib import Path

import pytest

from stagerunner.errors import InternalError, RunFailed, StageFailed, Stopped
from stagerunner.guard import guard, is_ctrl_c, may_pass, one_line, plain, refusals, refused, shown, text_of, wrong


@pytest.mark.parametrize(
    "error", [SystemExit(0), GeneratorExit(), KeyboardInterrupt(), ValueError("no"), InternalError("x")]
)
def test_whatever_is_raised_inside_is_the_failure_of_the_part_in_that_method(error):
    with pytest.raises(RunFailed, match=rf"^the sink x failed: {type(error).__name__}.* \(in write, .*\)$") as caught:
        with guard("the sink x", "write"):
            raise error
    assert caught.value.__cause__ is error


def test_ctrl_c_passes_wherever_it_comes():
    # Background runs may ignore SIGINT.
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGALRM)}

    def busy():
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        while True:
            pass

    try:
        with pytest.raises(KeyboardInterrupt) as caught, guard("the sink x", "write"):
            signal.raise_signal(signal.SIGINT)
        assert is_ctrl_c(caught.value)
        with pytest.raises(KeyboardInterrupt), guard("the sink x", "write"):
            busy()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_an_error_of_ours_says_itself_how_the_run_ends():
    with pytest.raises(StageFailed, match="as I say"), guard("the sink x", "write"):
        raise StageFailed("as I say")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, Stopped), (errno.EMFILE, Stopped), (errno.EACCES, RunFailed), (errno.ENOENT, RunFailed)],
)
def test_a_refusal_of_the_system_stops_the_run_only_where_it_may_pass(number, kind):
    error = OSError(number, "why")
    with pytest.raises(kind, match=r"^the sink x can't be written: why"):
        with guard("the sink x", "write", refused="can't be written"):
            raise error
    assert type(refused(error)) is kind
    assert may_pass(error) == (kind is Stopped)


def test_too_many_open_files_say_what_the_limit_is():
    said = str(refused(OSError(errno.EMFILE, "Too many open files")))
    assert re.fullmatch(
        r"the system refused: Too many open files for the limit of this process, \d[\d,]* \(`ulimit -n`\)", said
    )


def test_a_sentence_of_the_parts_own_is_no_refusal():
    with pytest.raises(RunFailed, match=r"^the sink x failed: it has been cut off$"):
        with guard("the sink x", "write", refused="can't be written"):
            raise OSError("it has been cut off")


def test_too_little_memory_may_pass():
    with pytest.raises(Stopped, match="the sink x failed: out of memory"), guard("the sink x", "write"):
        raise MemoryError


def test_a_part_is_asked_for_its_name_only_when_it_has_failed():
    with guard(lambda: pytest.fail("asked"), "write"):
        pass
    with pytest.raises(RunFailed, match="the sink y failed"), guard(lambda: "the sink y", "write"):
        raise ValueError


class Mute:
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


def test_a_value_that_can_not_say_what_it_is_is_unprintable():
    assert text_of(Mute()) == "<unprintable>"
    assert one_line(ValueError(Mute())).startswith("ValueError: <unprintable>")


def test_what_a_journal_is_to_hold_is_json_data():
    assert plain([1, "a", None], "the sink x", "position") == [1, "a", None]
    with pytest.raises(RunFailed, match=r"^the sink x failed: what position gave isn't JSON data: TypeError"):
        plain({1, 2}, "the sink x", "position")


def test_what_is_given_and_of_a_wrong_type_is_told_with_what_is_due():
    assert str(wrong("the source", "splits", 5, "a Split")) == "the source failed: splits gave an int, not a Split"


def test_a_path_is_shown_relative_where_it_lies_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b.py") == "a/b.py"
    assert shown("/elsewhere/b.py") == "/elsewhere/b.py"


def test_a_path_is_shown_whole_where_the_working_folder_is_gone(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert shown(Path("/a/b.py")) == "/a/b.py"


def test_what_the_system_refuses_can_be_resumed():
    with pytest.raises(Stopped, match="the system refused"), refusals():
        raise OSError(24, "Too many open files")
