from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.processes import children

from stagerunner.api import prepare
from stagerunner.engines.process.parent.fork_server import ForkServerClient
from stagerunner.engines.process.parent.prestart import prestarted_fork_server
from stagerunner.errors import OutputBusy, Stopped
from stagerunner.journal import Journal
from stagerunner.runtime import opening
from stagerunner.runtime.opening import Resume, opened, refusals

SOURCE = {"use": "range", "with": {"stop": 5}}

PROBE = """
import sys

def heard(event, arguments):
    if event == "subprocess.Popen":
        there = [name for name in ("stagerunner.runtime.session", "stagerunner.runtime.loop") if name in sys.modules]
        print(there, file=sys.__stdout__)

sys.addaudithook(heard)
from stagerunner.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_fork_server_begins_before_what_a_run_needs_is_imported(project):
    path = project.config("same", source=SOURCE, sink="out.jsonl")
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, "run", "-q", str(path)], text=True, capture_output=True, timeout=60
    )

    assert (ended.returncode, ended.stdout) == (0, "[]\n")


def test_a_fork_server_has_begun_when_a_session_is_there(project):
    session = opening.session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)
    fork_servers = children(os.getpid())
    with session:
        assert children(os.getpid()) == fork_servers

    assert len(fork_servers) == 1


def test_a_resume_starts_nothing_before_the_journal_was_read(project):
    plan = project.plan("same", source=SOURCE, sink="out.jsonl")
    session = opening.session(plan, project.events.append, resume=Resume(wanted=True))

    assert children(os.getpid()) == set()
    with session:
        assert len(children(os.getpid())) == 1


@pytest.mark.parametrize("known", [False, True], ids=["no journal yet", "its journal has another hash seed"])
def test_a_resumed_run_has_one_fork_server(project, known):
    plan = project.plan("same", source=SOURCE, sink="out.jsonl")
    if known:
        with opening.session(plan, project.events.append) as session:
            session.step()
    with prestarted_fork_server():
        prestarted = children(os.getpid())
        with opening.session(plan, project.events.append, resume=Resume(wanted=True)):
            (fork_server,) = children(os.getpid())

    assert ({fork_server} == prestarted) == (not known)


def test_what_goes_wrong_before_the_session_ends_the_fork_server(project, monkeypatch):
    monkeypatch.setattr(opening, "SESSION", "stagerunner.runtime.session:Nobody")

    with pytest.raises(AttributeError):
        opening.session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)


def test_an_output_that_is_busy_ends_the_fork_server(project):
    journal = Journal(project / ".out.jsonl.stagerunner")
    with pytest.raises(OutputBusy):
        prepare(project.config("same", source=SOURCE, sink="out.jsonl")).execute()

    journal.close()


def test_a_fork_server_that_the_system_refuses_stops_the_run(project, monkeypatch):
    def refused(*given, **named):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(Stopped, match="the system refused: Too many open files"):
        opening.session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)


def test_a_fork_server_that_no_transport_took_over_is_ended(project):
    found = opened(project.plan("same", source=SOURCE, sink="out.jsonl"))
    found.close()
    found.close()

    assert children(os.getpid()) == set()


def test_an_engine_need_not_begin_or_close(project):
    found = opened(project.plan("same", source=SOURCE, sink="out.jsonl", run={"engine": "inline"}))
    found.close()


def test_the_fork_server_shares_the_hash_seed_of_the_run(project):
    begun = []

    class Noting(ForkServerClient):
        def __init__(self, hash_seed=None):
            begun.append(hash_seed)
            super().__init__(hash_seed)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stagerunner.engines.process.parent.prestart.ForkServerClient", Noting)
        session = opening.session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)
    with session:
        pass
    journal = Journal(project / ".out.jsonl.stagerunner")
    entry = journal.read()
    journal.close()

    assert [entry.hash_seed] == begun


def test_what_the_system_refuses_can_be_resumed():
    with pytest.raises(Stopped, match="the system refused"), refusals():
        raise OSError(24, "Too many open files")
