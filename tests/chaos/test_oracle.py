"""Tests of the oracles: they find manipulated outcomes, and bugs planted in the protocol of the command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from chaos_support.broken import BUGS, LIES
from chaos_support.case import Case, environment
from chaos_support.oracle import calm, done, exact, left_over, nothing_left
from chaos_support.parallel import in_parallel
from chaos_support.points import Death, Plan, die_and_resume
from chaos_support.running import Run, wrapped
from chaos_support.scenario import named

pytestmark = [pytest.mark.reliability("bugs planted in real runs"), pytest.mark.timeout(300)]

DEATHS = {
    "no_truncate": Death("accept", 9),
    "letters_not_truncated": Death("sink written", 4),
    "journal_before_sink": Death("commit", 3),
    "lost_head": Death("torn frame", 4),
    "resent_from_the_split": Death("torn frame", 4),
    "end_of_file_is_the_end": Death("torn frame", 4),
    "no_state": Death("commit", 3),
    "lead_forgotten": Death("one of two", 3),
    "refusals_forgotten": Death("one of two", 3),
}
"""The point at which a process has to die for the bug to show."""


RESTARTS = ("lost_head", "resent_from_the_split", "end_of_file_is_the_end")
"""Bugs of restarting with a new epoch; a chain with state is restarted otherwise."""


LEADS = ("lead_forgotten", "refusals_forgotten")
"""Bugs of tables that are not committed in one moment."""


def _case(folder: Path, bug: str) -> Case:
    """300 records, some of which are refused, or kill their worker where the bug is one of restarting.

    Those that kill are in the middle of their frame, so that a part of it is accepted when the worker dies again.
    """
    # A lost dead letter shows only if there is one between two commits.
    deeds = ["kill" if number % 100 == 22 else "raise" if number % 3 == 0 else "" for number in range(300)]
    if bug != "letters_not_truncated":
        deeds = [deed if deed == "kill" else "" for deed in deeds]
    # A table takes a value once: with each twice, it refuses a record of every frame, so one between any two commits.
    times = 2 if bug in LEADS else 1
    records = [{"key": "a", "value": number // times, "deed": deed} for number, deed in enumerate(deeds)]
    options = {"harmless": bug not in RESTARTS, "pause": 0.0005}
    chain = [{"use": "deadly", "with": options, "on_error": "dead_letter"}]
    chain = chain if bug in (*RESTARTS, *LEADS) else [{"use": "numbered"}, *chain]
    run = {"frame": 4, "checkpoint": "1ms", "window": "2KiB"}
    return Case(folder, named(chain), records, "tables that refuse rows" if bug in LEADS else "jsonl", run)


def test_there_is_a_death_for_every_bug():
    assert DEATHS.keys() == BUGS.keys()


@pytest.mark.parametrize("bug", BUGS | LIES)
def test_every_bug_can_still_be_planted(tmp_path, bug):
    """If the code has no such function any more, the command ends with an error, which looks like a bug found."""
    command = [sys.executable, *wrapped("broken", bug)["python"], "--version"]

    planted = subprocess.run(command, env=environment(_case(tmp_path, bug)), capture_output=True, text=True)

    assert planted.returncode == 0, planted.stderr


def test_every_planted_bug_is_found(folder, proved):
    def found(bug: str) -> str:
        case = _case(folder / bug, bug).write()
        with pytest.raises(AssertionError) as error:
            die_and_resume(case, Plan((DEATHS[bug],)), case.expected(), **wrapped("broken", bug))
        return str(error.value)

    errors, failures = in_parallel(BUGS, found)

    proved(bugs_found=len(errors))
    assert not failures, f"not found: {failures}"
    assert all("output of" in text or "dead letters of" in text or "exit" in text for text in errors.values()), errors


def test_without_a_bug_the_same_deaths_cost_nothing(folder):
    def examine(bug: str) -> None:
        case = _case(folder / f"sound, {bug}", bug).write()
        assert die_and_resume(case, Plan((DEATHS[bug],)), case.expected()) == [DEATHS[bug]]

    _, failures = in_parallel(BUGS, examine)

    assert not failures


@pytest.fixture(scope="module")
def finished(folder):
    """A case, its run, and what it was to give."""
    case = _case(folder / "finished", "").write()
    expected = case.expected()
    with Run(case) as run:
        done(case, run, expected)
    return case, run, expected


def test_a_changed_byte_is_found(finished):
    case, _, expected = finished
    with pytest.raises(AssertionError, match="output of"):
        exact(case, replace(expected, output=expected.output.replace(b"300", b"301")))


@pytest.mark.parametrize(
    "change", [lambda lines: lines[1:], lambda lines: lines[::-1], lambda lines: lines + lines[-1:]]
)
def test_lost_swapped_and_doubled_lines_are_found(finished, change):
    case, _, expected = finished
    lines = expected.output.splitlines(keepends=True)
    with pytest.raises(AssertionError, match="output of"):
        exact(case, replace(expected, output=b"".join(change(lines))))


def test_a_dead_letter_too_few_or_too_many_is_found(finished):
    case, _, expected = finished
    for letters in (expected.letters[1:], [*expected.letters, expected.letters[0]]):
        with pytest.raises(AssertionError, match="dead letters of"):
            exact(case, replace(expected, letters=letters))


@pytest.mark.parametrize("place", ["out/more", "out/out.jsonl.partial", "out/.out.jsonl.stagerunner-wal", "tmp/more"])
def test_a_file_too_many_is_found(finished, place):
    case, _, _ = finished
    more = case.folder / place
    more.touch()
    with pytest.raises(AssertionError):
        nothing_left(case)
    more.unlink()
    nothing_left(case)


def test_a_process_too_many_is_found(finished):
    case, _, _ = finished
    sleeping = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    with subprocess.Popen(sleeping, env=environment(case), start_new_session=True, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # before that, its environment, by which it is recognised, can't be read
        try:
            with pytest.raises(AssertionError, match="processes"):
                left_over(case, 0.2)
        finally:
            process.kill()
    left_over(case)


def test_a_traceback_is_found(finished):
    _, run, _ = finished
    with open(run.case.folder / "log", "a") as log:
        log.write("Traceback (most recent call last):\n")
    with pytest.raises(AssertionError):
        calm(run)
