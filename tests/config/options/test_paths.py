import os
from pathlib import Path

import pytest

from stagerunner.config.options.paths import at_home, is_homeless, standing

BASE = Path("/folder/of/the/config")


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/amy")


def test_a_tilde_at_the_beginning_is_a_home_folder():
    assert standing(BASE, "~/out/a.txt") == Path("/home/amy/out/a.txt")
    assert standing(BASE, "~") == Path("/home/amy")
    assert standing(BASE, "~root/a") == Path(os.path.expanduser("~root")) / "a"


def test_a_tilde_anywhere_else_is_part_of_a_name():
    assert standing(BASE, "./~/a") == BASE / "~/a"
    assert standing(BASE, "a~") == BASE / "a~"
    assert at_home("a/~/b") == "a/~/b"


def test_a_tilde_that_stands_for_nobody_is_known():
    assert is_homeless("~no-such-user-here/a")
    assert not is_homeless("~/a")
    assert not is_homeless("a~")


def test_a_path_has_no_dots_that_lead_up():
    assert standing(Path("/a/b"), "../c") == Path("/a/c")
