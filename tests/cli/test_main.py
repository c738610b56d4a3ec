from __future__ import annotations

import errno
import os
import signal
import sys

import pytest
from support.leaks import nothing_left
from support.processes import children

import stagerunner.__main__ as console
from stagerunner.cli import entry


@pytest.fixture
def called(monkeypatch):
    """Call the console entry; the children it had when the command line began, and the exit code."""
    seen = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def entered(arguments):
        seen.append(len(children(os.getpid())))
        return 2

    monkeypatch.setattr(entry, "main", entered)

    def call(*arguments, given=None):
        monkeypatch.setattr(sys, "argv", ["stagerunner", *arguments])
        with nothing_left():
            return console.main(given), seen[-1]

    yield call
    for number, handler in before.items():  # the console's own end the process that it is
        signal.signal(number, handler)


def test_a_run_begins_a_fork_server_before_all_else_and_ends_it(called):
    assert called("run", "chain.yaml") == (2, 1)


@pytest.mark.parametrize("arguments", [("check", "run"), ("--help",), (), ("run", "--resume", "chain.yaml")])
def test_nothing_else_does(called, arguments):
    assert called(*arguments) == (2, 0)


def test_a_call_from_python_starts_nothing_in_advance(called):
    assert called("run", given=["run", "chain.yaml"]) == (2, 0)


@pytest.mark.parametrize(
    ("refusal", "code", "told"),
    [
        (ImportError("failed to map", path="/lib/array.so"), 75, "out of memory"),
        (MemoryError(), 75, "out of memory"),
        (OSError(errno.EMFILE, "Too many open files"), 75, "[Errno 24] Too many open files"),
        (PermissionError(errno.EACCES, "Permission denied"), 1, "[Errno 13] Permission denied"),
    ],
)
def test_what_the_system_refuses_during_the_imports_is_reported_in_a_line(monkeypatch, capfd, refusal, code, told):
    monkeypatch.setattr(console, "_enter", refusing(refusal))

    assert console.main(["run", "chain.yaml"]) == code
    assert capfd.readouterr().err == f"error[stopped]: the system refused: {told}\n"


def test_a_missing_module_is_not_a_refusal_of_the_system(monkeypatch):
    monkeypatch.setattr(console, "_enter", refusing(ModuleNotFoundError("No module named 'click'", name="click")))

    with pytest.raises(ModuleNotFoundError):
        console.main(["run", "chain.yaml"])


def refusing(error):
    def refuse(arguments):
        raise error

    return refuse
