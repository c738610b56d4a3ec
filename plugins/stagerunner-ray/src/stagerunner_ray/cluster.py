"""A cluster to run in: one of our own on this machine, or one that is there already."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stagerunner.errors import RunFailed
from stagerunner.plan import Plan

PRIVATE = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # 127.0.0.1 stays 127.0.0.1
}
"""What Ray reads from the environment, once, when it is imported or started."""

MARK = "STAGERUNNER_RAY_FOLDER"
"""A variable that every process of a local cluster inherits, for the sweeper."""

LOOPBACK = "127.0.0.1"

REACHING = 5.0
"""Seconds that the head of a cluster may take to accept a connection."""


class Unreachable(Exception):
    """There is no cluster at the address, or one that we can't use."""


@contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    """These variables while Ray starts. What the user has set stays."""
    added = {name: text for name, text in extra.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _own_handlers() -> Iterator[None]:
    """Put our signal handlers and the exception hook back: `ray.init` replaces them."""
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if main else ()
    handlers = [(number, signal.getsignal(number)) for number in numbers]
    hook = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = hook
        for number, handler in handlers:
            if handler is not None:
                signal.signal(number, handler)


class Cluster:
    """A connection to a cluster. here: its workers run on this machine and see the parent's memory."""

    def __init__(self, *, here: bool, ours: bool, sweeper: Sweeper | None = None) -> None:
        self.here = here
        self._ours = ours
        self._sweeper = sweeper

    def resources(self) -> dict[str, float]:
        """What all nodes have together."""
        import ray

        return dict(ray.cluster_resources())

    def unlike(self, plan: Plan) -> Iterator[str]:
        """A sentence for each node that can't run the plan's plugins."""
        from stagerunner_ray.alike import differences

        return differences(plan)

    def close(self) -> None:
        """Leave it; if it is ours, end it and remove its files."""
        import ray

        if self._ours:
            with suppress(Exception), _own_handlers():
                ray.shutdown()
        if self._sweeper is not None:
            self._sweeper.close()
            self._sweeper = None


def started(cpus: int | None, object_store: int) -> Cluster:
    """A cluster on this machine for this process alone; the one that the program has started itself, if there is one.

    Raises RunFailed if it does not start, or if it would listen on the network.
    """
    with _environment(PRIVATE | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}), _own_handlers():
        import ray

        if ray.is_initialized():
            return Cluster(here=True, ours=False)
        sweeper = Sweeper()
        try:
            with _environment({MARK: sweeper.folder}):
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    object_store_memory=object_store,
                    log_to_driver=False,
                    configure_logging=False,
                    _temp_dir=sweeper.folder,
                )
        except BaseException as error:
            sweeper.close()
            if isinstance(error, Exception):
                raise RunFailed(f"Ray did not start: {_last_line(error)}") from error
            raise
        _hush()
        found = ray.util.get_node_ip_address()
    cluster = Cluster(here=True, ours=True, sweeper=sweeper)
    if found != LOOPBACK:
        cluster.close()
        raise RunFailed(f"Ray would listen on {found} instead of {LOOPBACK}")
    return cluster


def connected(address: str) -> Cluster:
    """A connection to the cluster at this address. Raises Unreachable."""
    if address != "auto":
        _reach(address)
    with _environment(PRIVATE), _own_handlers():
        import ray

        if ray.is_initialized():
            return Cluster(here=False, ours=False)
        try:
            found = _started_here() if address == "auto" else address
            ray.init(address=found, log_to_driver=False, configure_logging=False)
        except Unreachable:
            raise
        except Exception as error:
            where = "no Ray cluster was started on this machine (`ray start --head`)" if address == "auto" else address
            raise Unreachable(f"no Ray cluster to run in: {where}: {_last_line(error)}") from error
        _hush()
    return Cluster(here=False, ours=True)


def _started_here() -> str:
    """Where the cluster is that was started on this machine. It may have ended without a word, and Ray would try to
    reach it for minutes. Ray has no public name for this."""
    from ray._private.services import get_ray_address_from_environment

    found: str = get_ray_address_from_environment("auto", None)
    _reach(found)
    return found


def _reach(address: str) -> None:
    """Raises Unreachable if no connection is accepted there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHING).close()
    except OSError as error:
        raise Unreachable(f"no Ray cluster at {address}: {error.strerror or error}") from error


def _hush() -> None:
    """Keep Ray from printing to standard output, where it tells of lost nodes even with `log_to_driver=False`: only
    records belong there. Ray has no public name for this."""
    from ray._private import worker

    worker._worker_logs_enabled = False


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


class Sweeper:
    """A process that removes a local cluster's files, and what is left of its processes, when the parent is gone."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="sr-", dir="/tmp")  # short: sockets lie in it
        command = [
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("sweeper.py")),
            self.folder,
            str(os.getpid()),
        ]
        self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def close(self) -> None:
        """Sweep now, and wait until it is done."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
