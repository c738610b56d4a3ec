"""Installed plugins: the entry points of the group `stagerunner`, found without importing any.

`importlib.metadata` gives the same, but importing it costs as much as all our own modules together, and it parses every
entry point of every distribution. So this module reads the folders on `sys.path` itself. It falls back to
`importlib.metadata` where anything but folders could hold a distribution: a zip file, an egg, another finder.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.machinery import PathFinder

from stagerunner.parts.hooks import PROJECT
from stagerunner.tuples import NamedTuple

_INFOS = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}
"""Suffix of a metadata folder → the file in it with the distribution's name and version."""


class Installed(NamedTuple):
    """An entry point, `name = value`, and the distribution it comes from."""

    name: str
    value: str
    distribution: str = ""
    version: str = ""

    @property
    def module(self) -> str:
        return self.value.partition("[")[0].partition(":")[0].strip()

    @property
    def attr(self) -> str:
        """The attribute of the module, or "" for the module itself."""
        return self.value.partition("[")[0].partition(":")[2].strip()


class _NotJustFolders(Exception):
    """Reading folders may miss distributions."""


def installed_plugins() -> tuple[Installed, ...]:
    """All entry points of the group, by distribution and name."""
    try:
        found = list(_in_folders(sys.path))
    except _NotJustFolders:
        found = list(_by_metadata())
    return tuple(sorted(found, key=lambda point: (provider_of(point), point.name)))


def provider_of(point: Installed) -> str:
    """ "geo 1.2": the distribution an entry point comes from."""
    return f"{point.distribution} {point.version}" if point.distribution else point.value


def is_named(point: Installed, names: Collection[str]) -> bool:
    """Whether one of the names is that of this plugin, its distribution or its module."""
    own = {point.name, point.module, point.distribution or point.name}
    return not {_normal(name) for name in own}.isdisjoint(_normal(name) for name in names)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _by_metadata() -> Iterator[Installed]:
    from importlib import metadata  # heavy, and rarely needed

    for point in metadata.entry_points(group=PROJECT):
        dist = (point.dist.name, point.dist.version) if point.dist else ()
        yield Installed(point.name, point.value, *dist)


def _in_folders(paths: Iterable[str]) -> Iterator[Installed]:
    """Of two distributions of one name the first counts, as it does for imports. Raises _NotJustFolders."""
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        raise _NotJustFolders
    seen: set[str] = set()
    for path in paths:
        for info in _infos(path or os.curdir):
            name = _normal(info.rpartition(".")[0].partition("-")[0])
            if name not in seen:
                seen.add(name)
                yield from _points(os.path.join(path, info))  # noqa: PTH118 - pathlib would cost more than the reading


def _infos(path: str) -> list[str]:
    """The names of the metadata folders in a folder."""
    try:
        names = os.listdir(path)  # noqa: PTH208 - as above
    except NotADirectoryError:
        raise _NotJustFolders from None
    except OSError:
        return []
    if path.endswith(".egg"):
        raise _NotJustFolders
    return [name for name in names if name.lower().endswith(tuple(_INFOS))]


def _points(info: str) -> Iterator[Installed]:
    declared = list(_lines(info, "entry_points.txt"))
    if f"[{PROJECT}]" not in declared:
        return
    name, version = _name_and_version(info)
    section = ""
    for line in declared:
        if line.startswith("["):
            section = line
        elif section == f"[{PROJECT}]" and not line.startswith("#") and "=" in line:
            key, _, value = line.partition("=")
            yield Installed(key.strip(), value.strip(), name, version)


def _name_and_version(info: str) -> tuple[str, str]:
    stem, kind = os.path.splitext(os.path.basename(info))  # noqa: PTH119, PTH122 - as above
    fields: dict[str, str] = {}
    for line in _lines(info, _INFOS[kind.lower()]):
        key, _, value = line.partition(":")
        fields.setdefault(key.lower(), value.strip())
        if not line:  # behind the header follows the whole README
            break
    name, _, version = stem.partition("-")
    return fields.get("name", name), fields.get("version", version)


def _lines(info: str, file: str) -> Iterator[str]:
    try:
        with open(os.path.join(info, file), encoding="utf-8", errors="replace") as text:  # noqa: PTH118 - as above
            yield from (line.strip() for line in text)
    except OSError:
        return
