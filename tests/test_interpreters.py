"""What another Python sees: our packages, folders of the project, and nothing else of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from support.environments import environment as made
from support.environments import installed

from stagerunner.interpreters import LENT, environment, program

SEES = """
import json, importlib
def file(name):
    try:
        return importlib.import_module(name).__file__
    except ImportError as error:
        return str(error)
print(json.dumps([file(name) for name in {names!r}]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("environment"), only_there="")


def seen(folder, *names, packages=(), path=()):
    """Where that Python finds modules, or why it doesn't."""
    before = sys.path[:]
    sys.path[:0] = path
    try:
        command = [folder / "bin" / "python", "-c", program(SEES.format(names=names), packages)]
        ended = subprocess.run(command, env=environment(os.environ), capture_output=True, check=True)
    finally:
        sys.path[:] = before
    return json.loads(ended.stdout)


def test_it_finds_our_packages_and_its_own(folder):
    import stagerunner
    import stagerunner_parts

    names = ("stagerunner", "stagerunner_parts", "only_there")
    theirs = str(installed(folder) / "only_there.py")
    assert seen(folder, *names, packages=["stagerunner_parts"]) == [
        stagerunner.__file__,
        stagerunner_parts.__file__,
        theirs,
    ]


def test_it_finds_nothing_else_of_ours_but_what_is_lent(folder):
    assert seen(folder, "yaml", "pytest", *LENT) == [
        "No module named 'yaml'",
        "No module named 'pytest'",
        *(sys.modules[name].__file__ for name in LENT),
    ]
    (installed(folder) / "msgspec.py").touch()
    assert seen(folder, "msgspec") == [str(installed(folder) / "msgspec.py")]
    (installed(folder) / "msgspec.py").unlink()


def test_it_finds_what_lies_in_folders_of_the_project(folder, tmp_path):
    (tmp_path / "ours_too.py").touch()
    assert seen(folder, "ours_too", path=[str(tmp_path)]) == [str(tmp_path / "ours_too.py")]
    packed = tmp_path / "site-packages"
    packed.mkdir()
    (packed / "not_theirs.py").touch()
    assert seen(folder, "not_theirs", path=[str(packed)]) == ["No module named 'not_theirs'"]


@pytest.mark.parametrize("flags", [[], ["-P"]])
def test_the_current_folder_is_no_folder_of_the_project_by_itself(folder, tmp_path, flags):
    (tmp_path / "beside.py").touch()
    command = [folder / "bin" / "python", *flags, "-c", program(SEES.format(names=("beside",)), ())]
    ended = subprocess.run(command, env=environment(os.environ), cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(ended.stdout) == ["No module named 'beside'"]


def test_its_environment_is_ours_without_what_leads_python_elsewhere():
    assert "PYTHONHOME" not in environment({"PYTHONHOME": "/x", "HOME": "/y"})
    assert environment({"HOME": "/y"})["HOME"] == "/y"
