"""Another Python that runs our modules: the one of a virtual environment.

It finds our own packages where this process has them, whatever is installed there: both ends of a pipe run the same
code. It also finds what lies in folders of the project, which belong to no Python. Of what is installed beside us,
it can import only LENT, and that only if it has none of its own and is of our version. What is built for one Python may
break another, and one environment is not to see into the other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

OLDEST = (3, 11)

TOO_OLD = 71
"""Exit status of a Python before OLDEST, which writes its version to standard error."""

_PROGRAM = """
import sys
if sys.version_info < {oldest}:
    sys.stderr.write("%d.%d" % sys.version_info[:2])
    sys.exit({too_old})
if not sys.flags.safe_path:
    del sys.path[0]
import gc
gc.disable()
from importlib.machinery import PathFinder
class Finder:
    def __init__(self, folders):
        self.folders = folders
    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, [self.folders[name]]) if name in self.folders else None
sys.meta_path.insert(0, Finder({ours!r}))
if sys.version_info[:2] == {version}:
    sys.meta_path.append(Finder({lent!r}))
{statement}
"""

LENT = ("msgspec",)
"""What sources and sinks of ours need in a worker."""

_INSTALLED = frozenset(("site-packages", "dist-packages"))


def program(statement: str, packages: Iterable[str]) -> str:
    """The text for `python -c`, with or without -P, that runs a statement. packages: those of ours that it
    can import, besides stagerunner."""
    return _PROGRAM.format(
        oldest=OLDEST,
        too_old=TOO_OLD,
        ours={name: _folder(name) for name in ("stagerunner", *packages)},
        version=sys.version_info[:2],
        lent={name: _folder(name) for name in LENT if name in sys.modules},
        statement=statement,
    )


def know_other_names() -> None:
    """Let this Python unpickle what others have pickled: in 3.13, paths have a module of their own."""
    import pathlib  # late: few processes need it

    sys.modules.setdefault("pathlib._local", pathlib)


def _folder(package: str) -> str:
    """The folder in which a package of ours lies."""
    return os.path.dirname(next(iter(sys.modules[package].__path__)))  # noqa: PTH120 - a text, which a program holds


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The variables for it: those given, but without our libraries in its path."""
    kept = {name: value for name, value in given.items() if name != "PYTHONHOME"}
    return {**kept, "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path if not _of_a_python(path))}


def _of_a_python(path: str) -> bool:
    """Whether this is a folder (or archive) of a Python: of its standard library, or of what is installed."""
    from pathlib import PurePath  # late: workers import this module for less

    parts = PurePath(path)
    standard = PurePath(os.__file__).parent
    zipped = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    return bool(_INSTALLED & set(parts.parts)) or parts.is_relative_to(standard) or parts.name == zipped
