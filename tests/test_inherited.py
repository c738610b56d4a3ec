from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from stagerunner.inherited import environment_kept, here, is_refusal, kept, working_folder


def changed() -> tuple[object, ...]:
    mask = os.umask(0)
    os.umask(mask)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    return os.getcwd(), mask, sys.stdin, sys.stdout, sys.stderr, sys.getrecursionlimit(), handlers


def test_what_other_peoples_code_changes_in_a_process_is_set_right(tmp_path):
    before = changed()
    with kept():
        os.chdir(tmp_path)
        os.umask(0o777)
        sys.stdin = sys.stdout = sys.stderr = None
        sys.setrecursionlimit(sys.getrecursionlimit() - 100)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        os.environ["STAGERUNNER_TESTED"] = "stays"
    assert changed() == before
    assert os.environ.pop("STAGERUNNER_TESTED") == "stays"


def test_environment_variables_are_restored(monkeypatch):
    monkeypatch.setenv("STAGERUNNER_TESTED", "before")
    before = dict(os.environ)
    with environment_kept():
        os.environ["STAGERUNNER_TESTED"] = "within"
        os.environ["STAGERUNNER_ADDED"] = "within"
    assert os.environ == before


def test_a_higher_limit_to_recursion_stays():
    before = sys.getrecursionlimit()
    with kept():
        sys.setrecursionlimit(before + 10)
    assert sys.getrecursionlimit() == before + 10
    sys.setrecursionlimit(before)


def test_a_working_folder_that_is_gone_is_nowhere(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert working_folder() is None
    assert here() / "/whole/path" == type(here())("/whole/path")
    with kept():
        pass


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (OSError(12, "no memory"), True),
        (MemoryError(), True),
        (ImportError("can't be mapped", path="/lib/x.so"), True),
        (ImportError("no such name", path="/lib/x.py"), False),
        (ValueError(), False),
    ],
)
def test_a_library_that_can_not_be_mapped_is_refused_by_the_system(error, refusal):
    assert is_refusal(error) is refusal


DEAF = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from stagerunner.inherited import restore_signals
restore_signals()
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set(), signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
"""

PARTED = """
import os, sys
from stagerunner import inherited
errors = inherited.part_output()
os.system("echo a child")
print("data")
sys.stdout.flush()
os.close(2)
print("an error", file=errors, flush=True)
"""


@pytest.mark.parametrize(
    ("program", "out", "err"),
    [
        pytest.param(DEAF, "True True\nTrue\n", "", id="signals are heard, and nohup stays nohup"),
        pytest.param(PARTED, "data\n", "a child\nan error\n", id="descriptor 1 is standard error, data is apart"),
    ],
)
def test_in_a_process_of_its_own(program, out, err):
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == (out, err)
