from __future__ import annotations

import asyncio
import gc
import io
import os
import re
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from queue import Queue

import pytest
from support.leaks import needs_proc, nothing_left
from support.processes import children
from support.project import Project

import stagerunner
from stagerunner.api import Request, load, open_session, prepare, run
from stagerunner.engines.process.parent.fork_server import ForkServerClient
from stagerunner.engines.process.parent.prestart import prestarted_fork_server
from stagerunner.errors import ConfigError, OutputBusy, StageFailed, Stopped, UsageError
from stagerunner.journal import Journal
from stagerunner.plan import preparing
from stagerunner.runtime import session as session_module
from stagerunner.runtime.opening import Resume


@pytest.fixture
def project(tmp_path):
    with nothing_left():
        yield Project(tmp_path)


def test_a_chain_is_checked_and_not_started(project):
    chain = project.load("same")

    assert [stage.name for stage in chain.plan.stages] == ["same"]


def test_every_mistake_is_told_at_once(project):
    with pytest.raises(ConfigError) as caught:
        project.load("sam", {"use": "same", "workers": 0}, sink="null")

    assert len(caught.value.mistakes) == 2


def test_a_text_with_a_newline_is_the_config_itself():
    with nothing_left():
        chain = stagerunner.load("version: 1\nstages: [text.upper]\n", engine="inline")

        assert list(chain.run(["a", "b"])) == ["A", "B"]


def test_variables_and_values_can_be_set(project):
    path = project.config({"use": "text.replace", "with": {"old": "${vars.what}", "new": "-"}}, vars={"what": "a"})

    assert list(stagerunner.load(path, engine="inline").run(["abc"])) == ["-bc"]
    assert list(stagerunner.load(path, vars={"what": "b"}, engine="inline").run(["abc"])) == ["a-c"]
    changed = stagerunner.load(path, set={"stages.text-replace.with.new": "+"}, engine="inline")
    assert list(changed.run(["abc"])) == ["+bc"]


def test_records_replace_the_source(project):
    chain = project.load("double", source={"use": "range", "with": {"stop": 3}}, engine="inline")

    assert list(chain.run()) == [0, 2, 4]
    assert list(chain.run([10])) == [20]


@pytest.mark.parametrize(("engine", "begun"), [(None, 1), ("inline", 0)])
def test_a_run_begins_its_fork_server_before_it_reads_its_config(project, monkeypatch, engine, begun):
    path = project.config("same", source={"use": "range", "with": {"stop": 3}}, sink="null")
    seen = []
    read = preparing.read
    monkeypatch.setattr(preparing, "read", lambda *given: (seen.append(len(children(os.getpid()))), read(*given))[1])

    stagerunner.run(path, engine=engine)

    assert seen == [begun]


def test_a_chain_runs_as_often_as_you_like(project):
    chain = project.load("double")

    assert [list(chain.run([1, 2])) for _ in range(3)] == [[2, 4]] * 3


def test_results_come_while_the_source_goes_on(project):
    with project.load("double").run(count()) as results:
        assert [next(results) for _ in range(100)] == list(range(0, 200, 2))


def test_the_summary_is_there_after_the_end_and_not_before(project):
    results = project.load("double").run(range(10))
    assert results.summary is None

    assert len(list(results)) == 10
    assert (results.summary.records["in"], results.summary.exit_code) == (10, 0)


def test_a_failure_raises_in_its_place_and_keeps_the_summary(project):
    project.plugin("""
        @stage
        def fussy(record):
            if record == 3:
                raise ValueError("no")
            return record
    """)
    results = project.load("fussy").run(range(10))

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StageFailed, match="fussy failed: ValueError: no"):
        next(results)
    assert results.summary.exit_code == 1


def test_an_error_of_the_callers_records_is_the_callers_own(project):
    def records():
        yield 1
        raise LookupError("mine")

    results = project.load("double").run(records())

    assert next(results) == 2
    with pytest.raises(LookupError, match="mine"):
        next(results)


def test_closing_twice_does_no_harm(project):
    results = project.load("double").run(count())
    results.close()
    results.close()

    assert results.summary is not None


def test_run_goes_from_source_to_sink(project):
    path = project.config("double", source={"use": "range", "with": {"stop": 3}}, sink="out.jsonl")
    told = []

    summary = stagerunner.run(path, listener=told.append, engine="inline")

    assert (project / "out.jsonl").read_text() == "0\n2\n4\n"
    assert (summary.ok, summary.records["out"]) == (True, 3)
    assert told


def test_an_error_of_the_run_has_the_summary(project):
    project.plugin("""
        @stage
        def broken(record):
            raise ValueError("no")
    """)
    path = project.config("broken", source={"use": "range", "with": {"stop": 3}}, sink="out.jsonl")

    with pytest.raises(StageFailed) as caught:
        stagerunner.run(path)

    assert caught.value.summary.exit_code == 1


def test_a_request_changes_source_sink_and_limit(project):
    project.write("in.txt", "a\nb\nc\n")
    path = project.config("text.upper")
    request = Request(source=str(project / "in.txt"), sink=str(project / "out.txt"), limit=2)

    prepare(Path(path), request).execute()

    assert (project / "out.txt").read_text() == "A\nB\n"


@needs_proc
@pytest.mark.parametrize("threshold", [1, 50, 178, 700])
def test_a_forgotten_run_ends_whenever_the_collector_came_by(project, threshold):
    before = gc.get_threshold()
    gc.set_threshold(threshold)
    try:
        results = project.load("same").run(count())
        next(results)
        del results
        gc.collect()
    finally:
        gc.set_threshold(*before)
    assert children() == set()


# Records that wait for results


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_queue_that_is_fed_with_what_becomes_of_the_results(project, engine, ahead):
    fed = Queue()
    for n in range(ahead):
        fed.put(n)
    came = []
    with project.load("double", engine=engine, run={"linger": "5ms"}).run(iter(fed.get, None)) as results:
        for result in results:
            came.append(result)
            fed.put(len(came) + ahead - 1 if len(came) < 40 else None)
    assert came[:40] == list(range(0, 80, 2))


def test_a_result_is_given_while_the_iterator_waits_for_another_thread(project):
    fed, got = Queue(), Queue()
    results = project.load("double", "double").run(iter(fed.get, None))
    consumer = threading.Thread(target=lambda: [got.put(result) for result in results])
    consumer.start()
    for n in range(20):
        fed.put(n)
        assert got.get(timeout=10) == 4 * n
    fed.put(None)
    consumer.join()


def test_the_iterator_is_not_read_ahead_of_the_window(project):
    seen = []
    with project.load("double", run={"frame": 10}).run(seen.append(n) or n for n in count()) as results:
        next(results)
    assert len(seen) < 5000


@pytest.mark.parametrize("kind", [LookupError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("engine", ["process", "inline"])
def test_whatever_the_iterator_raises_comes_out_in_its_place(project, kind, engine):
    def records():
        yield from range(3)
        raise kind("mine")

    came = []
    with pytest.raises(kind, match="mine"):
        came.extend(project.load("double", engine=engine).run(records()))
    results = project.load("double", engine=engine).run(records())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    with pytest.raises(kind, match="mine"):
        next(results)
    assert results.summary.exit_code == 1


def test_an_iterator_that_can_not_begin_raises_where_it_is_given(project):
    class Broken:
        def __iter__(self):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        project.load("double").run(Broken())


# Leaving


def endless():
    yield from count()


def test_a_loop_that_is_left_by_an_exception_ends_the_run(project):
    with pytest.raises(KeyboardInterrupt), project.load("double").run(endless()) as results:
        for _ in results:
            raise KeyboardInterrupt
    assert next(results, "over") == "over"


def test_results_are_given_once(project):
    results = project.load("double", engine="inline").run([1, 2])
    assert [list(results), list(results)] == [[2, 4], []]


def test_a_fork_of_the_caller_leaves_the_run_alone(project):
    with project.load("double").run(range(10**9)) as results:
        next(results)
        pid = os.fork()
        if pid == 0:
            results.close()
            del results
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert [next(results) for _ in range(5000)] == list(range(2, 10002, 2))
        assert results._session.loop.restarts == 0


# Where it is called from


def test_one_chain_runs_in_several_threads_at_once(project):
    chain, came = project.load("double"), {}

    def run(number):
        came[number] = list(chain.run(number + n for n in range(500)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came == {number: [2 * (number + n) for n in range(500)] for number in range(3)}


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_it_runs_where_an_event_loop_does(project, engine):
    async def cell():
        return list(project.load("double", engine=engine).run(n for n in range(3)))

    assert asyncio.run(cell()) == [0, 2, 4]


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_it_runs_where_standard_output_is_no_file(project, engine, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert list(project.load("double", engine=engine).run(n for n in range(3))) == [0, 2, 4]


CHILD = """
import multiprocessing, sys, stagerunner

def work(path):
    print(list(stagerunner.load(path).run(n for n in range(3))))

if __name__ == "__main__":
    child = multiprocessing.Process(target=work, args=(sys.argv[1],), daemon=True)
    child.start()
    child.join()
"""


def test_it_runs_in_a_daemonic_child(project):
    path, script = project.config("double"), project.write("script.py", CHILD)
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[0, 2, 4]\n", "")


# Some of the stages


def test_only_some_of_the_stages_run(project):
    path = project.config("double", "same", {"use": "double", "name": "again"})
    assert list(stagerunner.load(path, only="double..same", engine="inline").run([1])) == [2]
    assert list(stagerunner.load(path, only="again", engine="inline").run([1])) == [2]
    with pytest.raises(ConfigError, match="no stage of this chain is named 'agin'"):
        stagerunner.load(path, only="agin")


def test_only_some_of_the_stages_run_from_source_to_sink(project):
    source = {"use": "range", "with": {"stop": 3}}
    path = project.config("double", {"use": "double", "name": "again"}, source=source, sink="out.jsonl")
    stagerunner.run(path, only="..double", engine="inline")
    assert (project / "out.jsonl").read_text() == "0\n2\n4\n"


# Secrets

LEAKY = """
    @stage
    def leaky(record, *, key: str):
        count(key)
        print("printed", key)
        raise ValueError(f"refused: {key!r}")
"""


@pytest.fixture
def leaky(project, monkeypatch):
    project.plugin(LEAKY)
    monkeypatch.setenv("KEY", "hunter2\\backslash")
    return {"use": "leaky", "with": {"key": "${secret:KEY}"}}


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_an_error_and_its_summary_say_no_secret(project, leaky, engine, capfd):
    results = project.load(leaky, engine=engine).run(["a hunter2\\backslash"])

    with pytest.raises(StageFailed, match="refused: '\\*\\*\\*'") as caught:
        list(results)

    said = [str(caught.value), caught.value.failure.message, repr(caught.value.summary), repr(results.summary)]
    assert [text for text in (*said, *capfd.readouterr()) if "hunter2" in text] == []


def test_events_say_no_secret(project, leaky):
    path = project.config(leaky | {"on_error": "skip"}, source={"use": "range", "with": {"stop": 2}}, sink="null")
    told = []

    summary = stagerunner.run(path, listener=told.append)

    assert {type(event).__name__ for event in told} >= {"Output", "RecordFailed"}
    assert "hunter2" not in repr((told, summary))
    assert summary.stages[0].counters == {"***": 2}


def test_a_chain_is_shown_without_its_options(project, leaky):
    chain = project.load(leaky)
    assert repr(chain) == "<Chain chain: leaky>"
    assert "hunter2" not in f"{chain.plan!r} {chain.config!r}"


def test_results_and_run_end_with_the_same_code(project):
    project.plugin("""
        @stage
        def picky(record):
            if record == "2":
                raise ValueError("no")
            return record
    """)
    project.write("in.txt", "1\n2\n3\n")
    stage = {"use": "picky", "on_error": "dead_letter"}
    path = project.config(stage, source="in.txt", sink="out.txt", dead_letter="failed.jsonl")
    with load(path).run() as results:
        assert list(results) == ["1", "3"]

    assert (results.summary.exit_code, results.summary.ok) == (3, False)
    assert (run(path).exit_code, run(path).ok) == (3, False)


def test_results_that_were_left_early_are_not_called_done(project):
    with project.load("double").run(range(10_000)) as results:
        next(results)

    assert (results.summary.exit_code, results.summary.ok) == (141, False)


# What the caller gives


COPY = "version: 1\nstages: []\n"


async def coming():
    yield 1


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ("abc", "`records` is one record, a str: give a list of records, ['abc']"),
        (b"abc", "`records` is one record, a bytes: give a list of records, [b'abc']"),
        ({"a": 1}, "`records` is a mapping, which gives its keys"),
        (coming(), "`records` is an async iterator: give a plain one"),
        (5, "`records` isn't an iterable of records, but an int"),
        (print, "`records` isn't an iterable of records, but the function print"),
        (None, "this chain has no `source:`: give `run` its records"),
    ],
)
def test_what_gives_no_records_is_refused(records, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        stagerunner.load(COPY).run(records)


@pytest.mark.parametrize("records", [[], iter([]), (x for x in ()), range(0), {}.items()])
def test_no_records_are_records_too(records):
    assert list(stagerunner.load(COPY, engine="inline").run(records)) == []


class OldStyle:
    """Goes by its indexes alone, which Python takes for an iterable."""

    def __getitem__(self, index):
        return ["a", "b"][index]


def test_whatever_python_can_iterate_over_will_do():
    assert list(stagerunner.load(COPY, engine="inline").run(OldStyle())) == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"version: 1\n", "a config is a path, a text or a mapping, not a bytes"),
        (None, "not None"),
        (5, "not an int"),
        (stagerunner, "not a module"),
    ],
)
def test_what_is_no_config_is_refused(source, told):
    with pytest.raises(UsageError, match=told):
        stagerunner.load(source)
    with pytest.raises(UsageError, match=told):
        stagerunner.run(source)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"vars": "a=b"}, "`vars` is a mapping, as in {'NAME': value}, or a list of texts, not a str"),
        ({"vars": [1]}, "`vars` is a mapping"),
        ({"set": "run.window=8MiB"}, "`set` is a mapping, as in {'run.window': '8MiB'}"),
        ({"plugins": "./parts.py"}, "`plugins` is a list, as in plugins=['./my_stages.py'], not a str"),
        ({"plugins": Path("parts.py")}, "`plugins` is a list"),
        ({"plugins": [5]}, "a plugin is a text, a path, a module, or a function or class, not an int"),
        ({"engine": 5}, "`engine` is a text, not an int"),
        ({"only": ["a", "b"]}, "`only` is a text, not a list"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(given, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        stagerunner.load(COPY, **given)


@pytest.mark.parametrize("path", ["no/such.yaml", Path("no/such.yaml"), Path("line\nend.yaml"), "nul\0.yaml", Path()])
def test_a_path_that_leads_to_no_config_is_told_with_its_name(path):
    with pytest.raises(stagerunner.ConfigError):
        stagerunner.load(path)


@pytest.mark.parametrize("value", [8, None, 1.5, True, Path("x"), ["a"], {"a": 1}])
def test_values_of_any_plain_type_can_be_set_and_are_checked_where_they_stand(value):
    with pytest.raises(stagerunner.ConfigError, match=r"^set:1:"):
        stagerunner.load(COPY, set={"run.durability": value, "run.frame": "x"})


# A session is opened


SOURCE = {"use": "range", "with": {"stop": 5}}

PROBE = """
import sys

def heard(event, arguments):
    if event == "subprocess.Popen":
        there = [name for name in ("stagerunner.runtime.making", "stagerunner.runtime.loop") if name in sys.modules]
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
    session = open_session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)
    fork_servers = children(os.getpid())
    with session:
        assert children(os.getpid()) == fork_servers

    assert len(fork_servers) == 1


def test_a_resume_starts_nothing_before_the_journal_was_read(project):
    plan = project.plan("same", source=SOURCE, sink="out.jsonl")
    session = open_session(plan, project.events.append, resume=Resume(wanted=True))

    assert children(os.getpid()) == set()
    with session:
        assert len(children(os.getpid())) == 1


@pytest.mark.parametrize("known", [False, True], ids=["no journal yet", "its journal has another hash seed"])
def test_a_resumed_run_has_one_fork_server(project, known):
    plan = project.plan("same", source=SOURCE, sink="out.jsonl")
    if known:
        with open_session(plan, project.events.append) as session:
            session.step()
    with prestarted_fork_server():
        prestarted = children(os.getpid())
        with open_session(plan, project.events.append, resume=Resume(wanted=True)):
            (fork_server,) = children(os.getpid())

    assert ({fork_server} == prestarted) == (not known)


def test_what_goes_wrong_before_the_session_ends_the_fork_server(project, monkeypatch):
    def broken(*given):
        raise AttributeError("no")

    monkeypatch.setattr(session_module, "Session", broken)
    with pytest.raises(AttributeError):
        open_session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)


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
        open_session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)


def test_the_fork_server_shares_the_hash_seed_of_the_run(project):
    begun = []

    class Noting(ForkServerClient):
        def __init__(self, hash_seed=None):
            begun.append(hash_seed)
            super().__init__(hash_seed)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stagerunner.engines.process.parent.prestart.ForkServerClient", Noting)
        session = open_session(project.plan("same", source=SOURCE, sink="out.jsonl"), project.events.append)
    with session:
        pass
    journal = Journal(project / ".out.jsonl.stagerunner")
    entry = journal.read()
    journal.close()

    assert [entry.hash_seed] == begun
