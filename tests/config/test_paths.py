import os
from pathlib import Path

import pytest

from stagerunner.config.paths import expand_user, has_unknown_user, resolve_path

BASE = Path("/folder/of/the/config")


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/amy")


def test_a_tilde_at_the_beginning_is_a_home_folder():
    assert resolve_path(BASE, "~/out/a.txt") == Path("/home/amy/out/a.txt")
    assert resolve_path(BASE, "~") == Path("/home/amy")
    assert resolve_path(BASE, "~root/a") == Path(os.path.expanduser("~root")) / "a"


def test_a_tilde_anywhere_else_is_part_of_a_name():
    assert resolve_path(BASE, "./~/a") == BASE / "~/a"
    assert resolve_path(BASE, "a~") == BASE / "a~"
    assert expand_user("a/~/b") == "a/~/b"


def test_a_tilde_for_an_unknown_user_is_recognised():
    assert has_unknown_user("~no-such-user-here/a")
    assert not has_unknown_user("~/a")
    assert not has_unknown_user("a~")


def test_a_path_has_no_dots_that_lead_up():
    assert resolve_path(Path("/a/b"), "../c") == Path("/a/c")
