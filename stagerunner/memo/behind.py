"""What is behind the results of a stage besides its options: the Python that runs it, its code, and what is installed.

Asked in that Python, which may be another than the one that makes the plan.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from stagerunner.memo.files import checksum
from stagerunner.memo.keys import digest
from stagerunner.parts.code import all_code, places
from stagerunner.tuples import NamedTuple


class Behind(NamedTuple):
    """files: of code, path → name that is the same wherever the plugin lies. packages: installed ones that the code
    imports. distributions: names, with what tells their content."""

    python: tuple[str, str]
    files: dict[str, str]
    packages: frozenset[str]
    distributions: tuple[tuple[str, str], ...]


def behind(target: str, *, all_installed: bool = False) -> Behind:
    """What is behind the part "module:name". all_installed: of the distributions, not only those that it imports.

    Raises OSError if its module has no file that can be read.
    """
    code = all_code(target)
    for path in code.files:
        _forget_stale(Path(path))
    owners = {package: _owners(package) for package in code.packages}
    found = _installed() if all_installed else _with_required(name for names in owners.values() for name in names)
    lone = [(package, _of_lone(package)) for package, names in owners.items() if not names]
    return Behind((sys.version, sys.platform), code.files, code.packages, tuple(sorted([*found, *lone])))


def _forget_stale(path: Path) -> None:
    """Delete the .pyc of a file that was changed after it was compiled.

    Python compares seconds and length, so a worker may run the code of before a quick edit.
    """
    from importlib.util import cache_from_source  # few chains have a memo

    with suppress(OSError, NotImplementedError, ValueError):
        compiled = Path(cache_from_source(str(path)))
        if compiled.stat().st_mtime_ns <= path.stat().st_mtime_ns:
            compiled.unlink()


def _installed() -> Iterator[tuple[str, str]]:
    """All distributions that this Python can import."""
    from importlib import metadata  # heavy, and few chains have a memo

    for found in metadata.distributions():
        yield _normal(found.metadata["Name"] or ""), _content(found)


def _of_lone(package: str) -> str:
    """What tells the content of a module or package that lies there without a distribution."""
    return " ".join(checksum(str(place)) for place in places(package))


def _with_required(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """These distributions, and all that they require."""
    waiting, met = list(names), set[str]()
    if not waiting:
        return
    from importlib import metadata  # as above

    while waiting:
        name = waiting.pop()
        if name in met:
            continue
        met.add(name)
        try:
            found = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):  # required for another system, or an extra
            continue
        yield name, _content(found)
        waiting += [_normal(one) for required in found.requires or () for one in re.findall(r"^[\w.-]+", required)]


def _content(found: Any) -> str:
    return digest((found.read_text("RECORD") or found.version or "").encode()).hex()


def _owners(package: str) -> list[str]:
    """The names of the distributions that a package comes from."""
    from importlib import metadata  # as above

    with suppress(metadata.PackageNotFoundError):
        metadata.distribution(package)
        return [_normal(package)]
    return [_normal(name) for name in metadata.packages_distributions().get(package, ())]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
