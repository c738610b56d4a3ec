from __future__ import annotations

import os
import sys

import pytest
from support.leaks import nothing_left
from support.processes import children

import stagerunner.__main__ as console


@pytest.fixture
def called(monkeypatch):
    """Call the console entry; the children it had when the command line began, and the exit code."""
    seen = []

    def loaded(target):
        def asked(arguments):
            seen.append(len(children(os.getpid())))
            return 2

        return asked if target == console.ENTRY else real(target)

    real = console.loaded
    monkeypatch.setattr(console, "loaded", loaded)

    def call(*arguments, given=None):
        monkeypatch.setattr(sys, "argv", ["stagerunner", *arguments])
        with nothing_left():
            return console.main(given), seen[-1]

    return call


def test_a_run_begins_a_keeper_before_all_else_and_ends_it(called):
    assert called("run", "chain.yaml") == (2, 1)


@pytest.mark.parametrize("arguments", [("check", "run"), ("--help",), (), ("run", "--resume", "chain.yaml")])
def test_nothing_else_does(called, arguments):
    assert called(*arguments) == (2, 0)


def test_who_calls_it_in_a_process_of_his_own_pays_for_nothing_ahead(called):
    assert called("run", given=["run", "chain.yaml"]) == (2, 0)
