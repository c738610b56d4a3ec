"""The code of a part: its module, and all modules of the plugin itself that this one imports.

Nothing is imported or parsed. Whatever looks like an import and leads to a file of the plugin counts. One file too many
costs a `--force-resume`, one too few a wrong output.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from zlib import crc32

from stagerunner.parts.files import PACKAGE

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
