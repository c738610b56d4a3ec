"""The code of a part: its module, and all modules that this one imports.

Nothing is imported or parsed. Whatever looks like an import and leads to a file counts. One file too many costs a
`--force-resume` or a second call, one too few a wrong output. A journal counts the plugin's own modules (`code_of`), a
memo also those elsewhere that aren't installed, and which installed ones there are (`all_code`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from zlib import crc32

from stagerunner.parts.files import PACKAGE
from stagerunner.tuples import NamedTuple

_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+(\.*[ \t]*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#;]*)|import[ \t]+([^\n#;]*))",
    re.M,
)
_INSTALLED = ("site-packages", "dist-packages")
_STANDARD = Path(os.__file__).parent


def code_of(target: str) -> dict[str, str]:
    """File → checksum and length, for the module of "module:name" and the plugin's modules that it imports."""
    module = sys.modules.get(target.partition(":")[0])
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        return {}
    start = Path(file)
    root = _root(module, start)
    found: dict[Path, str] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            code = path.read_bytes()
            # A checksum is enough; hashlib would load OpenSSL, 4 ms of every run with a journal.
            found[path] = f"{crc32(code):08x}-{len(code)}"
            waiting += _own(code.decode(errors="replace"), path, root, start)
    return {os.path.relpath(path, root): found[path] for path in sorted(found)}


def _root(module: ModuleType, file: Path) -> Path:
    """The folder in which the plugin's modules are searched."""
    if module.__name__.startswith(f"{PACKAGE}."):
        return file.parent
    depth = module.__name__.count(".") + (file.stem == "__init__")
    return file.parents[depth]


def _own(code: str, path: Path, root: Path, start: Path) -> Iterator[Path]:
    """The files of the plugin that this code imports, or may import."""
    # Installed packages lie side by side: there a plugin is its own package only.
    shared = root == _STANDARD or root.name in _INSTALLED
    package = start.relative_to(root).parts[0]
    for name in _imported(code, path, root):
        place = root.joinpath(*name.split("."))
        for candidate in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if (not shared or name.partition(".")[0] == package) and candidate.is_file():
                yield candidate


def _imported(code: str, path: Path, root: Path) -> Iterator[str]:
    """Dotted names below the root, each with its packages."""
    for base, names, plain in _IMPORT.findall(code):
        listed = [
            piece.split()[0] for piece in re.split(r"[,\n]", re.sub(r"[()\\]", " ", names or plain)) if piece.split()
        ]
        listed = [name for name in listed if re.fullmatch(r"[\w.]+", name)]
        if plain:
            wanted = listed
        else:
            above = _absolute(base.replace(" ", ""), path, root)
            wanted = [above, *(f"{above}.{name}".strip(".") for name in listed)]
        for name in wanted:
            pieces = [piece for piece in name.split(".") if piece]
            yield from (".".join(pieces[:n]) for n in range(1, len(pieces) + 1))


def _absolute(base: str, path: Path, root: Path) -> str:
    """The absolute form of a relative name in that file."""
    name = base.lstrip(".")
    level = len(base) - len(name)
    if not level:
        return name
    folder = path.parents[level - 1]
    inside = folder.relative_to(root).parts if folder.is_relative_to(root) else ()
    return ".".join([*inside, *filter(None, [name])])


# All code, wherever it is


OURS = ("stagerunner", PACKAGE)
"""Packages that come with the runner's version."""

CODE = (".py", ".so", ".pyd", ".pyc")


class Code(NamedTuple):
    """files: path → name that is the same wherever the plugin lies. packages: installed ones that it imports."""

    files: dict[str, str]
    packages: frozenset[str]


def all_code(target: str) -> Code:
    """The code that the module of "module:name" may run: its package, and what is imported from anywhere.

    Raises OSError if its module has no file that can be read.
    """
    module = sys.modules.get(target.partition(":")[0])
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        raise FileNotFoundError(f"the module of {target} has no file")
    root = _root(module, Path(file))
    walk = _Walk()
    walk.add(Path(file), root)
    top = module.__name__.partition(".")[0]
    if top != PACKAGE:
        walk.find(top)
    walk.finish()
    return Code({str(path): name for path, name in walk.found.items()}, frozenset(walk.packages))


class _Walk:
    """Follows imports from file to file."""

    def __init__(self) -> None:
        self.found: dict[Path, str] = {}
        self.packages: set[str] = set()
        self._tops: set[str] = set()
        self._waiting: list[tuple[Path, Path]] = []

    def add(self, path: Path, root: Path) -> None:
        """A file of code below `root`."""
        if path not in self.found and not _is_installed(path):
            self.found[path] = os.path.relpath(path, root)
            self._waiting.append((path, root))

    def finish(self) -> None:
        """Follow the imports in all files. Raises OSError for a file that can't be read."""
        while self._waiting:
            path, root = self._waiting.pop()
            if path.suffix == ".py":
                for name in set(_imported(path.read_bytes().decode(errors="replace"), path, root)):
                    self._follow(name, root)

    def _follow(self, name: str, root: Path) -> None:
        place = root.joinpath(*name.split("."))
        for candidate in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if candidate.is_file():
                self.add(candidate, root)
        self.find(name.partition(".")[0])

    def find(self, top: str) -> None:
        """The top-level module or package of this name, wherever Python finds it."""
        if top in self._tops or top in OURS or top in sys.stdlib_module_names:
            return
        self._tops.add(top)
        for place in places(top):
            if _is_installed(place):
                self.packages.add(top)
            elif place.is_dir():
                for path in _files_below(place):
                    self.add(path, place.parent)
            else:
                self.add(place, place.parent)


def places(top: str) -> list[Path]:
    """The file, or the folders, of a top-level module."""
    from importlib.util import find_spec  # few chains have a memo

    spec = None
    with suppress(Exception):  # finders are anyone's code, and not all that looks like an import is one
        spec = find_spec(top)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _is_installed(path: Path) -> bool:
    return any(folder in path.parts for folder in _INSTALLED) or path.is_relative_to(_STANDARD)


def _files_below(folder: Path) -> Iterator[Path]:
    """All code in a package, without hidden folders and what is installed in it."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _INSTALLED)
        yield from (Path(base, name) for name in sorted(names) if name.endswith(CODE) and "__pycache__" not in base)
