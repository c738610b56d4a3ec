from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.processes import children

from stagerunner.engines.process.parent import prestart
from stagerunner.engines.process.parent.prestart import fork_server, next_hash_seed, prestarted_fork_server


def test_who_wants_a_fork_server_gets_the_one_that_has_begun():
    with prestarted_fork_server():
        begun = children(os.getpid())
        pipe = fork_server(next_hash_seed())
        assert {pipe.pid} == begun
        pipe.close()


def test_there_is_one_only():
    with prestarted_fork_server():
        first, second = fork_server(next_hash_seed()), fork_server(next_hash_seed())
        assert first.pid != second.pid
        first.close()
        second.close()


def test_where_one_is_spare_no_other_begins():
    with prestarted_fork_server():
        begun = children(os.getpid())
        with prestarted_fork_server():
            assert children(os.getpid()) == begun
        assert children(os.getpid()) == begun


def test_where_none_is_wanted_none_begins():
    with prestarted_fork_server(wanted=False):
        assert children(os.getpid()) == set()


def test_of_several_threads_one_gets_it():
    with prestarted_fork_server():
        (begun,) = children(os.getpid())
        seed = next_hash_seed()
        with ThreadPoolExecutor(4) as threads:
            pipes = list(threads.map(fork_server, [seed] * 4))
        assert len({pipe.pid for pipe in pipes}) == 4
        assert begun in {pipe.pid for pipe in pipes}
        for pipe in pipes:
            pipe.close()


def test_if_nobody_wants_it_it_ends():
    with prestarted_fork_server():
        (pid,) = children(os.getpid())

    assert children(os.getpid()) == set()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def elsewhere(monkeypatch):
    monkeypatch.chdir(Path("/"))


def with_a_variable(monkeypatch):
    monkeypatch.setenv("SET_BY_A_PLUGIN", "1")


def with_a_path(monkeypatch):
    monkeypatch.syspath_prepend("/nowhere")


@pytest.mark.parametrize("change", [elsewhere, with_a_variable, with_a_path])
def test_what_a_plugin_changes_for_its_workers_is_not_missed(monkeypatch, change):
    with prestarted_fork_server():
        begun = children(os.getpid())
        seed = next_hash_seed()
        change(monkeypatch)
        pipe = fork_server(seed)
        assert {pipe.pid} == children(os.getpid()) != begun
        pipe.close()


def test_a_run_that_is_resumed_has_the_hash_seed_of_its_journal():
    with prestarted_fork_server():
        begun = children(os.getpid())
        pipe = fork_server("7")
        assert {pipe.pid} == children(os.getpid()) != begun
        pipe.close()


def test_every_run_has_a_hash_seed_of_its_own():
    assert next_hash_seed() != next_hash_seed()


def test_what_the_system_refuses_is_for_the_run_to_say(monkeypatch):
    def refused(seed):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(prestart, "ForkServerClient", refused)
    with prestarted_fork_server():
        assert children(os.getpid()) == set()


PROBE = """
import sys

def heard(event, arguments):
    if event == "subprocess.Popen":
        print([name for name in ("click", "yaml", "stagerunner.plan") if name in sys.modules])

sys.addaudithook(heard)
sys.argv[0] = "stagerunner"
from stagerunner.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("written", "code"),
    [
        pytest.param("version: 1\nsource: in.txt\nstages: []\nsink: out.txt\n", 0, id="a run"),
        pytest.param("version: 1\nstages: nonsense\n", 2, id="a mistake"),
        pytest.param("version: 1\nsource: in.txt\nstages: []\nsink: out.txt\nrun: {engine: inline}\n", 0, id="inline"),
    ],
)
def test_a_command_begins_one_fork_server_before_anything_is_imported(tmp_path, written, code):
    (tmp_path / "chain.yaml").write_text(written)
    (tmp_path / "in.txt").write_text("hello\n")
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, "run", "-q", "chain.yaml"],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stdout) == (code, "[]\n")
