from __future__ import annotations

import pickle
import sys
from importlib import import_module

import pytest

import stagerunner
from stagerunner.catalog import freshness, load_catalog
from stagerunner.catalog.importing import import_file, import_named
from stagerunner.errors import ConfigError

STAGE = "from stagerunner import stage\n"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch, tmp_path):
    """What a test imports from its folder doesn't outlive it; imports there see what was written a moment ago."""
    monkeypatch.setattr(freshness, "_noted", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def load(path):
    """The module of a plugin file after a load."""
    freshness.forget_changed()
    return import_file(path)


def test_a_plugin_that_was_changed_is_imported_anew(write):
    path = write("plugin.py", "answer = 1")
    assert load(path).answer == 1
    write("plugin.py", "answer = 2")
    assert load(path).answer == 2


def test_one_that_was_not_stays_what_it_is(write):
    path = write("plugin.py", "class Kept: pass")
    kept = load(path).Kept
    path.touch()
    assert load(path).Kept is kept
    other = write("other.py", "answer = 1")
    load(other)
    write("other.py", "answer = 2")
    load(other)
    assert load(path).Kept is kept


def test_a_class_of_a_plugin_read_anew_is_pickled_by_its_name(write):
    path = write("plugin.py", "class Kept: pass")
    load(path)
    write("plugin.py", "class Kept: answer = 2")
    kept = load(path).Kept
    assert pickle.loads(pickle.dumps(kept)) is kept


def test_changed_modules_beside_it_are_imported_again_and_those_that_import_them_too(write):
    write("inner.py", "ANSWER = 1")
    write("middle.py", "from inner import ANSWER")
    write("aside.py", "class Kept: pass")
    path = write("plugin.py", "import middle, aside\ndef answer(): return middle.ANSWER")
    assert load(path).answer() == 1
    kept = sys.modules["aside"].Kept
    write("inner.py", "ANSWER = 2")
    assert load(path).answer() == 2
    assert sys.modules["aside"].Kept is kept


def test_packages_beside_it_are_imported_again_as_a_whole(write):
    write("tools/__init__.py", "from . import deep")
    write("tools/deep.py", "ANSWER = 1")
    path = write("plugin.py", "from tools import deep\nimport tools.deep\nanswer = deep.ANSWER, tools.deep.ANSWER")
    assert load(path).answer == (1, 1)
    write("tools/deep.py", "ANSWER = 2")
    assert load(path).answer == (2, 2)
    write("tools/__init__.py", "from . import deep\nMORE = 3")
    assert load(path).tools.MORE == 3


def test_a_module_that_is_named_by_its_import_path_is_read_anew(write):
    write("of_mine.py", "answer = 1")
    assert import_named("of_mine").answer == 1
    write("of_mine.py", "answer = 2")
    freshness.forget_changed()
    assert import_named("of_mine").answer == 2


def test_what_the_program_had_imported_itself_is_left_alone(write):
    write("shared.py", "class Kept: pass")
    kept = import_module("shared").Kept
    path = write("plugin.py", "from shared import Kept")
    load(path)
    write("shared.py", "class Kept: answer = 2")
    assert load(path).Kept is kept
    assert sys.modules["shared"].Kept is kept


def test_a_helper_that_is_gone_is_a_mistake(write):
    helper = write("helper.py", "ANSWER = 1")
    path = write("plugin.py", "from helper import ANSWER")
    load(path)
    helper.unlink()
    catalog = load_catalog(plugins=[(str(path), None, path.parent)], installed=False)
    assert [mistake.message for mistake in catalog.mistakes] == [
        f"{path} could not be imported: ModuleNotFoundError: No module named 'helper' ({path}:1)"
    ]


def test_a_plugin_that_could_not_be_imported_is_tried_again(write):
    path = write("plugin.py", "this is no Python")
    refs = [(str(path), None, path.parent)]
    assert load_catalog(plugins=refs, installed=False).mistakes
    write("plugin.py", STAGE + "@stage\ndef better(record): return record")
    assert not load_catalog(plugins=refs, installed=False).mistakes


# From end to end


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_the_next_load_runs_what_is_on_the_disk_then(write, engine):
    write("helper.py", "TIMES = 2")
    stage = STAGE + "import helper\n@stage\ndef times(record: int) -> int: return {} * helper.TIMES"
    path = write("chain.yaml", "version: 1\nplugins: [./plugin.py]\nstages: [times]\n")
    came = []
    for factor, times in ((1, 2), (3, 2), (3, 5), (4, 7)):
        write("helper.py", f"TIMES = {times}")
        write("plugin.py", stage.format(f"record * {factor}"))
        came += stagerunner.load(path, engine=engine).run([1])
    assert came == [2, 6, 15, 28]


def test_options_of_a_type_that_was_read_anew_reach_the_workers(write):
    text = (
        STAGE
        + """
class Factor:
    def __init__(self, number): self.number = number
    @classmethod
    def parse(cls, text): return cls(int(text) * {})

@stage
def times(record: int, *, by: Factor) -> int: return record * by.number
"""
    )
    path = write("chain.yaml", "version: 1\nplugins: [./plugin.py]\nstages: [{use: times, with: {by: 2}}]\n")
    for factor in (1, 2):
        write("plugin.py", text.format(factor))
        assert list(stagerunner.load(path).run([1])) == [2 * factor]


def test_a_chain_of_before_says_that_it_is_to_be_loaded_again(write):
    path = write("chain.yaml", "version: 1\nplugins: [./plugin.py]\nstages: [same]\n")
    write("plugin.py", STAGE + "@stage\ndef same(record): return record")
    old = stagerunner.load(path, engine="inline")
    write("plugin.py", STAGE + "@stage\ndef same(record): return [record]")
    assert list(stagerunner.load(path, engine="inline").run([1])) == [[1]]
    with pytest.raises(ConfigError, match="was changed and imported again since this chain was loaded"):
        old.run([1])
