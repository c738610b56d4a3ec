from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from stagerunner.parts import files
from stagerunner.parts.files import module_name, register, registered


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Files that a test makes known are not known afterwards."""
    monkeypatch.setattr(files.finder, "files", {})
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(files.PACKAGE):
            del sys.modules[name]


def test_a_file_has_one_name_for_one_path():
    assert module_name(Path("/a/my-stages.py")) == module_name(Path("/a/my-stages.py"))
    assert module_name(Path("/a/my-stages.py")) != module_name(Path("/b/my-stages.py"))
    assert module_name(Path("/a/my-stages.py")).startswith("stagerunner_files.my_stages_")


def test_a_registered_file_can_be_imported_under_its_name(tmp_path):
    path = tmp_path / "some.py"
    path.write_text("answer = 42\n")
    register({module_name(path): str(path)})

    module = importlib.import_module(module_name(path))

    assert (module.answer, module.__file__) == (42, str(path))


def test_a_file_that_is_not_registered_is_not_found():
    register({})

    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("stagerunner_files.some_12345678")


def test_the_finder_is_installed_once():
    register({"stagerunner_files.a_1": "/a"})
    register({"stagerunner_files.b_2": "/b"})

    assert sys.meta_path.count(files.finder) == 1
    assert registered() == {"stagerunner_files.a_1": "/a", "stagerunner_files.b_2": "/b"}
