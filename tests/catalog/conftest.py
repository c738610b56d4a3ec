from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from stagerunner.config.nodes import Scalar
from stagerunner.errors import Mark


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a plugin file below the test's folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def use() -> Callable[[str], Scalar]:
    """A `use:` as a config would hold it."""
    return lambda text: Scalar(text, text, Mark("chain.yaml", 4, 10, f"  - use: {text}", len(text)))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a distribution on `sys.path`: one module and the entry point that names it."""
    site = tmp_path / "site"
    site.mkdir()
    installed: set[str] = set()

    def install(name: str, version: str, text: str, module: str | None = None, point: str | None = None) -> None:
        module = module or f"{name}_plugin"
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[stagerunner]\n{name} = {point or module}\n")
        (site / f"{module}.py").write_text(dedent(text))
        installed.add(module)
        monkeypatch.syspath_prepend(str(site))

    yield install
    for module in installed:
        sys.modules.pop(module, None)
