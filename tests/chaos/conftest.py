from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DAY = 24 * 3600


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A proof in its long form takes as long as it takes; each of its runs has a limit of its own."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here) and config.getoption("--full"):
            item.add_marker(pytest.mark.timeout(DAY), append=False)


@pytest.fixture(scope="session", autouse=True)
def no_cores() -> None:
    """A worker that dies by SIGSEGV leaves no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the cases of a module have their folders; kept when CHAOS_KEEP says so."""
    path = Path(tempfile.mkdtemp(prefix="chaos-"))
    yield path
    if "CHAOS_KEEP" not in os.environ:
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def strace() -> str:
    """The command; its tests are skipped where it can't trace."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed")
    if subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, timeout=30).returncode:
        pytest.skip("strace can't trace here")
    return found
