from __future__ import annotations

import pytest
from support import needs


@pytest.fixture
def memory(monkeypatch, tmp_path):
    """The file system of memory:// addresses, empty, and a folder of its own for the user's state."""
    needs.module("fsspec", "stagerunner[remote]")
    import fsspec

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    system = fsspec.filesystem("memory")
    forget(system)
    yield system
    forget(system)


def forget(system):
    system.store.clear()
    system.pseudo_dirs[:] = [""]
