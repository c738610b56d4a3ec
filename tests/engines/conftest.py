from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.leaks import nothing_left
from support.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """No test leaves a process, a descriptor or a thread behind."""
    with nothing_left():
        yield
