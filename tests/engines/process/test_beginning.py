from __future__ import annotations

import subprocess
import sys

import pytest

BEGUN = """
import sys, types
from stagerunner.engines.process.beginning import begin
module = types.ModuleType("beginner")
def main():
    {deed}
module.main = main
sys.modules["beginner"] = module
begin("beginner")
"""


@pytest.mark.parametrize(
    ("deed", "code", "words"),
    [
        ("pass", 0, ""),
        ("raise BlockingIOError(11, 'no more processes')", 75, "the system refused a process of stagerunner: "),
        ("raise MemoryError", 75, "the system refused a process of stagerunner: MemoryError"),
        ("raise ImportError('can not be mapped', path='x.so')", 75, "the system refused a process of stagerunner: can"),
        ("1 / 0", 70, "a process of stagerunner failed: ZeroDivisionError: division by zero (<string>:6)"),
    ],
)
def test_what_ends_a_process_of_ours_is_told_in_a_line(deed, code, words):
    ended = subprocess.run([sys.executable, "-c", BEGUN.format(deed=deed)], capture_output=True, text=True, timeout=60)

    assert ended.returncode == code
    assert ended.stderr.startswith(words)
    assert ended.stderr.count("\n") == (1 if words else 0)
