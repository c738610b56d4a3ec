"""Stages whose workers run in another Python: what they import is there, and all that is promised holds."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from support.environments import OTHERS, environment, install, installed
from support.leaks import needs_proc
from support.processes import alive, descendants
from support.waiting import wait_until

import stagerunner
from stagerunner.errors import ConfigError, RunFailed
from stagerunner.events import RecordFailed, WorkerFailed, WorkerReady
from stagerunner.plan import fusible

ONLY = "WHO = {!r}\ndef tag(text): return f'{{text}} {{WHO}}'"

THERE = """
import os, signal, sys, time
from pathlib import Path
from typing import Literal
import only_there
from stagerunner import count, stage

def once(name):
    try:
        os.close(os.open(Path(__file__).parent / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

@stage
def tagged(text: str, *, times: int = 1, mode: Literal["a", "b"] = "a", path: Path | None = None) -> str:
    "Say which environment this is."
    count("tagged")
    return f"{only_there.tag(text)}{'!' * times}"

@stage
def deadly(record):
    if record == 150 and once("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record

@stage
def hungry(record):
    held = bytearray(400_000_000 if record == 3 else 1)
    time.sleep(600 if record == 3 else 0)
    return record

@stage
def slow(record):
    time.sleep(600 if record == 3 else 0)
    return record

class Own:
    pass

def own(*, kind: Own) -> None:
    ...

@stage
def strange(record):
    only_there.Strange = type("Strange", (), {"__module__": "only_there"})
    return only_there.Strange()

@stage
def from_there(record):
    return f"{only_there.WHO} {stagerunner_of()}"

def stagerunner_of():
    import stagerunner
    return stagerunner.__version__
"""


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """Two environments with a module of which ours has none."""
    base = tmp_path_factory.mktemp("environments")
    return [environment(base / name, only_there=ONLY.format(name)) for name in ("one", "two")]


@pytest.fixture
def there(project, environments):
    """A stage of the plugin file that imports that module, with the setting `python`."""
    project.write("there.py", THERE)

    def named(name, number=0, **settings):
        return {"use": f"./there.py:{name}", "python": str(environments[number]), **settings}

    return named


def test_stages_run_where_they_say(project, there):
    stages = [
        there("tagged", workers=2),
        "same",
        there("tagged", 1, **{"with": {"times": 2, "mode": "b", "path": "x"}}),
    ]
    results = project.results(*stages, records=list("abc"))
    assert list(results) == [f"{letter} one! two!!" for letter in "abc"]
    assert [one.counters for one in results.summary.stages] == [{"tagged": 3}, {}, {"tagged": 3}]


def test_a_built_in_stage_runs_there_too_and_reads_and_writes_the_files(project, environments):
    (project / "in.txt").write_text("a\nb\n")
    stage = {"use": "text.upper", "python": str(environments[0])}
    assert project.execute(stage, source="in.txt", sink="out.jsonl").exit_code == 0
    assert (project / "out.jsonl").read_text() == '"A"\n"B"\n'


@pytest.mark.skipif(not OTHERS, reason="there is no other Python from 3.11 on in the path")
@pytest.mark.parametrize("other", OTHERS)
def test_another_version_of_python(project, other):
    project.plugin("""
        @stage
        def version(record, *, path: Path):
            return (*sys.version_info[:2], record, path)
    """)
    version = {"use": "./parts.py:version", "with": {"path": "x/y"}}
    stages = ["same", {**version, "python": other}, "same"]
    records = [1.5, "ä", b"\0", [None, {"a": 2**100}], Path("z")]
    results = list(project.results(*stages, records=records))
    assert [result[2:] for result in results] == [(one, project.folder / "x" / "y") for one in records]
    assert results[0][:2] != sys.version_info[:2]


def test_ours_is_the_stagerunner_that_runs_there(project, there, environments):
    other = installed(environments[1]) / "stagerunner"
    other.mkdir(exist_ok=True)
    (other / "__init__.py").write_text("__version__ = '0.0.1'\n")
    assert list(project.results(there("from_there", 1), records=[1])) == [f"two {stagerunner.__version__}"]


def test_only_neighbours_of_one_python_share_workers(project, there):
    stages = ["same", there("deadly"), there("slow"), there("deadly", 1), "same", "same"]
    plan = project.plan(*stages, source={"use": "range", "with": {"stop": 3}}, run={"fuse": "auto"})
    assert fusible(plan) == (1, 2, 1, 2)
    assert any("run in different Pythons" in note for note in plan.notes)


def test_kept_results_are_found_until_something_in_that_environment_changes(project, there, tmp_path):
    place = environment(tmp_path / "kept", only_there=ONLY.format("kept"))
    install(place, "needed", "1.0")
    stage = {**there("tagged", memo="kept.memo"), "python": str(place)}

    def ran():
        results = project.results(stage, records=["a", "b"])
        return list(results), results.summary.stages[0].hits

    assert [ran()[1], ran()[1]] == [0, 2]
    install(place, "needed", "1.1")
    assert [ran()[1], ran()[1]] == [0, 2]
    (installed(place) / "only_there.py").write_text(ONLY.format("changed"))
    assert ran() == (["a changed!", "b changed!"], 0)


# Mistakes


@pytest.mark.parametrize(
    ("change", "path", "why"),
    [
        ({"python": "nowhere"}, "python", "there is no folder"),
        ({"python": "."}, "python", "isn't a Python environment: there is no bin/python in it"),
        ({"python": "gone"}, "python", "is gone: its bin/python leads to /nowhere/python3"),
        ({"python": "./old"}, "python", "has Python 3.9, and 3.11 is the oldest that can run stages"),
        ({"python": "./none"}, "python", "isn't a Python that can run stages: oops"),
        ({"python": "./there.py"}, "python", "can't be run: Permission denied"),
        ({"use": "./there.py:nothing"}, "use", "has no attribute 'nothing'"),
        ({"use": "nothing.at_all:nothing"}, "use", "ModuleNotFoundError: No module named 'nothing'"),
        ({"use": "./there.py:own"}, "use", "it takes no record"),
        ({"with": {"times": "many"}}, "with.times", "must be a whole number"),
        ({"with": {"time": 1}}, "with.time", "there is no option 'time'"),
    ],
)
def test_mistakes_are_found_in_the_plan(project, there, change, path, why):
    for name, script in (("old", "echo 3.9 >&2; exit 71"), ("none", "echo oops >&2; exit 1")):
        project.write(name, f"#!/bin/sh\n{script}\n").chmod(0o755)
    (project / "gone" / "bin").mkdir(parents=True)
    (project / "gone" / "bin" / "python").symlink_to("/nowhere/python3")
    with pytest.raises(ConfigError) as wrong:
        project.load({**there("tagged"), **change})
    (mistake,) = wrong.value.mistakes
    assert (mistake.path, why in mistake.message) == (f"stages[0].{path}", True), mistake.message


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_engines_in_one_process_refuse_it(project, there, engine):
    with pytest.raises(ConfigError, match=f"the engine '{engine}' runs all stages in this Python"):
        project.load(there("tagged"), engine=engine)


# Deaths


@needs_proc
@pytest.mark.parametrize("victim", ["worker", "fork server", "ours"])
def test_a_death_costs_nothing(project, there, victim):
    """A record kills its worker, or a fork server is killed between two records."""

    def records():
        yield from range(100)
        wait_until(lambda: len(project.told(WorkerReady)) == 3)
        pids = [ready.pid for ready in project.told(WorkerReady)]
        if victim != "worker":
            os.kill(parent_of(pids[1] if victim == "fork server" else pids[0]), signal.SIGKILL)
        yield from range(100, 200)

    middle = there("deadly" if victim == "worker" else "slow", workers=1)
    results = project.results("same", middle, "double", records=records(), run={"frame": 10})
    if victim != "worker":
        project.write("there.py", THERE.replace("600 if record == 3 else 0", "0"))
    assert list(results) == [2 * number for number in range(200)]
    assert results.summary.restarts == 1
    (failed,) = project.told(WorkerFailed)
    assert victim != "worker" or (failed.stage, failed.how) == ("deadly", "SIGKILL")


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@needs_proc
def test_nothing_is_left_when_the_parent_is_killed(project, there):
    (project / "in.txt").write_text("1\n2\n3\n")
    project.config(there("slow", workers=2), source={"use": "jsonl", "with": {"path": "in.txt"}}, sink="out.txt")
    running = project.start("run", "chain.yaml")

    try:
        wait_until(lambda: len(descendants(running.pid)) >= 4)
        pids = descendants(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)))
    finally:
        running.kill()
        running.communicate()


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_import_that_hangs_there_ends_with_the_plan(project, there, number):
    project.write(
        "there.py", "import pathlib, time\npathlib.Path(__file__).with_name('here').touch()\ntime.sleep(600)\n"
    )
    project.config(there("tagged"))
    with project.start("check", "chain.yaml") as planning:
        wait_until((project / "here").exists)
        pids = descendants(planning.pid)
        planning.send_signal(number)
        planning.communicate()

    assert pids
    wait_until(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [("slow", {"timeout": "300ms"}, "Timeout"), ("hungry", {"max_memory": "200MiB"}, "Memory")],
)
def test_limits_hold_there(project, there, name, settings, kind):
    one = there(name, on_error="skip", **settings)
    assert list(project.results(one, records=range(6))) == [0, 1, 2, 4, 5]
    (told,) = project.told(RecordFailed)
    assert told.type == kind


def test_a_failed_setup_is_named(project, there):
    project.write("there.py", THERE + "\nif 'stagerunner.engines' in sys.modules: raise ValueError('not here')\n")
    with pytest.raises(RunFailed, match=r"tagged.*ValueError: not here"):
        list(project.results(there("tagged"), records=[1]))


def test_a_type_that_a_worker_has_not_is_named(project, there):
    with pytest.raises(RunFailed, match="records that it can't unpickle"):
        list(project.results(there("strange"), "same", records=[1]))
    assert {failed.how for failed in project.told(WorkerFailed)} == {"records that it can't unpickle"}


# Resume


def test_a_resumed_run_wants_the_same_versions_there(project, there, environments):
    install(environments[0], "only_there", "1.0")
    (project / "in.txt").write_text("".join(f"{number}\n" for number in range(6)))
    stage = {"use": "only_there:tag", "python": str(environments[0])}
    project.plugin("""
        @stage
        def stop(record):
            if record.startswith("3") and once("stopped"):
                raise ValueError("stop")
            return record
    """)
    project.config(stage, "stop", source="in.txt", sink="out.txt")
    assert project.cli("run", "chain.yaml").returncode == 1

    install(environments[0], "only_there", "2.0")
    refused = project.cli("run", "chain.yaml", "--resume")
    assert refused.returncode == 2
    assert b"1.0" in refused.stderr
    assert b"2.0" in refused.stderr

    install(environments[0], "only_there", "1.0")
    assert project.cli("run", "chain.yaml", "--resume").returncode == 0
    assert (project / "out.txt").read_text() == "".join(f"{number} one\n" for number in range(6))


def test_show_says_it(project, there):
    project.config(there("tagged"))
    shown = project.cli("show", "chain.yaml", "--json")
    stage = json.loads(shown.stdout)["config"]["stages"][0]
    assert stage["python"] == there("tagged")["python"]
    assert stage["with"] == {"times": 1, "mode": "a", "path": None}
    refused = project.cli("show", "chain.yaml", "--sample", "3")
    assert refused.returncode == 2
    assert b"runs in another Python" in refused.stderr
