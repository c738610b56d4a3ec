"""Which files a part's code is in."""

from __future__ import annotations

import importlib
import sys

import pytest

from stagerunner.catalog.importing import import_file
from stagerunner.parts.code import all_code, code_of


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Writes files, and imports a module of them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def tree(files, module):
        for name, code in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(code)
        found = import_file(tmp_path / module) if module.endswith(".py") else importlib.import_module(module)
        return set(code_of(f"{found.__name__}:x"))

    before = set(sys.modules)
    yield tree
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_lone_file_and_its_helpers_also_those_imported_late(tree):
    files = {
        "p1.py": "import json, helper1\ndef x():\n    from late1 import (\n        one,\n        two as deux,\n    )\n",
        "helper1.py": "from deep1.inner import thing\n",
        "deep1/__init__.py": "",
        "deep1/inner.py": "thing = 1\n",
        "late1.py": "one = two = 1\n",
        "other1.py": "not imported\n",
    }
    assert tree(files, "p1.py") == {"p1.py", "helper1.py", "deep1/__init__.py", "deep1/inner.py", "late1.py"}


def test_a_package_with_relative_imports(tree):
    files = {
        "pkg2/__init__.py": "",
        "pkg2/stages.py": "from . import rules\nfrom .sub import tool\n",
        "pkg2/rules.py": "try: import pkg2.lazy\nexcept ImportError: pass\n",
        "pkg2/lazy.py": "",
        "pkg2/sub/__init__.py": "from .tool import t\n",
        "pkg2/sub/tool.py": "t = 1\n",
        "pkg2/unused.py": "",
    }
    assert tree(files, "pkg2.stages") == {
        "pkg2/stages.py",
        "pkg2/__init__.py",
        "pkg2/rules.py",
        "pkg2/lazy.py",
        "pkg2/sub/__init__.py",
        "pkg2/sub/tool.py",
    }


def test_a_circle_of_imports_ends(tree):
    assert tree({"a3.py": "import b3\n", "b3.py": "import a3\n"}, "a3") == {"a3.py", "b3.py"}


def test_among_what_is_installed_only_its_own_package_counts(tree, tmp_path, monkeypatch):
    (tmp_path / "site-packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    files = {
        "site-packages/mine4/__init__.py": "import theirs4\nfrom mine4 import part\n",
        "site-packages/mine4/part.py": "",
        "site-packages/theirs4.py": "",
    }
    assert tree(files, "mine4") == {"mine4/__init__.py", "mine4/part.py"}


# All code


@pytest.fixture
def everything(tmp_path, monkeypatch):
    """Writes files, imports a module of them, and says what its code is: the names of its files, and its packages."""

    def everything(files, module, paths=(".",)):
        for name, code in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(code)
        for path in paths:
            monkeypatch.syspath_prepend(str(tmp_path / path))
        found = import_file(tmp_path / module) if module.endswith(".py") else importlib.import_module(module)
        code = all_code(f"{found.__name__}:x")
        return set(code.files.values()), code.packages

    before = set(sys.modules)
    yield everything
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_all_code_is_found_wherever_it_lies(everything):
    files = {
        "p5.py": "import json, helper5, pluggy\n",
        "lib/helper5.py": "def late():\n    from pkg5.deep import thing\n",
        "lib/pkg5/__init__.py": "",
        "lib/pkg5/deep.py": "",
        "lib/pkg5/by_name.py": "imported by a string, if at all",
        "other5.py": "",
    }
    found, packages = everything(files, "p5.py", ["lib"])
    assert found == {"p5.py", "helper5.py", "pkg5/__init__.py", "pkg5/deep.py", "pkg5/by_name.py"}
    assert packages == {"pluggy"}


def test_all_modules_of_its_own_package_are_its_code(everything):
    files = {"pkg6/__init__.py": "", "pkg6/stages.py": "", "pkg6/rules/other.py": "import json\n"}
    found, packages = everything(files, "pkg6.stages")
    assert found == set(files)
    assert packages == set()


def test_of_an_installed_plugin_the_package_counts(everything):
    files = {"site-packages/mine7/__init__.py": "import pluggy\n", "site-packages/mine7/part.py": ""}
    found, packages = everything(files, "mine7.part", ["site-packages"])
    assert found == set()
    assert packages == {"mine7"}


def test_a_module_without_a_file_has_no_code_to_tell():
    with pytest.raises(OSError, match="has no file"):
        all_code("sys:exit")
