"""The processes of a run, found in /proc by the token in their environment, whatever their parent is now."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from support.processes import alive, children


def family(token: str) -> set[int]:
    """All living processes that were started with this CHAOS_TOKEN."""
    wanted = f"\0CHAOS_TOKEN={token}\0".encode()
    found = {int(name) for name in os.listdir("/proc") if name.isdigit() and wanted in _environment(name)}
    return {pid for pid in found if alive(pid)}


def fork_server_of(parent: int) -> int | None:
    """The fork server of the run with this parent, while there is one."""
    return next(
        (pid for pid in children_of(parent) if b"stagerunner.engines.process.forkserver" in _read(pid, "cmdline")), None
    )


def workers_of(fork_server: int | None) -> list[int]:
    return [] if fork_server is None else sorted(children_of(fork_server))


def children_of(parent: int) -> set[int]:
    """The direct children, by the kernel's own list where it has one."""
    try:
        return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}
    except FileNotFoundError:
        return children(parent) if Path(f"/proc/{parent}").exists() else set()
    except OSError:
        return set()


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal. Returns whether the process existed."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def kill_family(token: str) -> None:
    for pid in family(token):
        send(pid, signal.SIGKILL)


def _environment(pid: str) -> bytes:
    return b"\0" + _read(int(pid), "environ")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
