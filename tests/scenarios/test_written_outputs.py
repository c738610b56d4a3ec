"""Outputs that aren't plain files, or that other programs use too, written by the whole command."""

from __future__ import annotations

import os
import signal

import pytest
from support.waiting import wait_until

SOURCE = {"use": "range", "with": {"stop": 5}}


def test_a_named_pipe_gets_everything_once_it_has_a_reader(project):
    os.mkfifo(project / "pipe")
    project.config(source=SOURCE, sink="pipe")
    with project.start("run", "chain.yaml", "-q") as process:
        with open(project / "pipe", "rb") as reader:
            assert reader.read() == b"0\n1\n2\n3\n4\n"
        assert process.wait(20) == 0


def test_even_an_empty_output_waits_for_a_reader(project):
    os.mkfifo(project / "pipe")
    project.config(source={"use": "range", "with": {"stop": 0}}, sink="pipe")
    with project.start("run", "chain.yaml", "-q") as process:
        with open(project / "pipe", "rb") as reader:
            assert reader.read() == b""
        assert process.wait(20) == 0


def test_a_signal_ends_a_run_that_waits_for_a_reader(project):
    os.mkfifo(project / "pipe")
    project.plugin("@stage\ndef heard(record):\n    tell('here')\n    return record\n")
    project.config("heard", source=SOURCE, sink="pipe", run={"grace": "200ms"})
    with project.start("run", "chain.yaml", "-q") as process:
        wait_until((project / "here").exists)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert err


def test_a_reader_that_leaves_is_noticed(project):
    os.mkfifo(project / "pipe")
    project.config(source={"use": "range", "with": {"stop": 300_000}}, sink="pipe")
    with project.start("run", "chain.yaml", "-q") as process:
        with open(project / "pipe", "rb") as reader:
            assert reader.read(4) == b"0\n1\n"
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"left before everything was written" in err


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1"])
def test_a_link_to_standard_output_leads_where_that_goes(project, name):
    (project / "pipe").symlink_to(name)
    project.config(source=SOURCE)
    with open(project / "captured", "wb") as captured:
        with project.start("run", "chain.yaml", "-o", "pipe", "-q", stdout=captured) as process:
            assert process.wait(20) == 0
    assert (project / "captured").read_bytes() == b"0\n1\n2\n3\n4\n"
    assert (project / "pipe").is_symlink()


def test_a_full_device_stops_the_run(project):
    project.config(source=SOURCE, sink="/dev/full")
    done = project.cli("run", "chain.yaml", "-q")
    assert done.returncode == 75
    assert b"No space left" in done.stderr


def test_an_unfinished_output_that_this_journal_does_not_know_is_left_alone(project):
    project.plugin("@stage\ndef stuck(record):\n    if record == 3: raise ValueError('three')\n    return record\n")
    project.config("stuck", source=SOURCE, sink="out.txt", run={"frame": 1})
    assert project.cli("run", "chain.yaml", "-q").returncode == 1
    before = (project / "out.txt.partial").read_bytes()
    done = project.cli("run", "chain.yaml", "-q", "--journal", "other")
    assert done.returncode == 2
    assert b"out.txt.partial is in the way" in done.stderr
    assert (project / "out.txt.partial").read_bytes() == before
    assert project.cli("run", "chain.yaml", "-q").returncode == 1  # its own journal knows it


def test_a_run_without_a_journal_leaves_nothing_in_its_own_way(project):
    project.plugin("@stage\ndef stuck(record):\n    if record == 3: raise ValueError('three')\n    return record\n")
    project.config("stuck", source=SOURCE, sink="out.txt", run={"journal": "off"})
    for _ in range(2):
        assert project.cli("run", "chain.yaml", "-q").returncode == 1
    assert not (project / "out.txt.partial").exists()
