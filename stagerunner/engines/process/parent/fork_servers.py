"""The fork servers of a run: one for each Python that its workers run in. Ours is always there."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic

from stagerunner.engines.process.parent.fork_server import Ended, ForkServerClient, OtherPython
from stagerunner.errors import RunFailed
from stagerunner.guard import reason
from stagerunner.wire.messages import Closable
from stagerunner.wire.spec import SealedSpec

OURS = ""
"""The executable of this Python, among those of others."""


class ForkServers:
    """on_exits: called when there is something to read of one. packages: those of ours that other Pythons can import,
    besides stagerunner."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        on_exits: Callable[[], None],
        hash_seed: str | None,
        packages: tuple[str, ...] = (),
    ) -> None:
        self._selector = selector
        self._on_exits = on_exits
        self._hash_seed = hash_seed
        self._packages = packages
        self._running: dict[str, ForkServerClient] = {}
        self._full: set[str] = set()

    def take(self, executable: str, fork_server: ForkServerClient) -> None:
        """Take over a running one."""
        self._running[executable] = fork_server
        self._full.discard(executable)
        self._selector.register(fork_server, selectors.EVENT_READ, self._on_exits)

    def require(self, executables: Iterable[str]) -> None:
        """See that these run, and ours. One that has not reported the end of every worker is replaced.

        Raises RunFailed if another Python can't be started.
        """
        for executable in {OURS, *executables}:
            before = self._running.get(executable)
            if before is None or not before.answered_all:
                self._drop(executable)
                self.take(executable, self._new(executable))

    def _new(self, executable: str) -> ForkServerClient:
        if executable == OURS:
            return ForkServerClient(self._hash_seed)
        try:
            return ForkServerClient(self._hash_seed, OtherPython(executable, self._packages))
        except FileNotFoundError as error:
            raise RunFailed(f"{executable} can no longer be run: {reason(error)}") from None

    def _drop(self, executable: str) -> None:
        fork_server = self._running.pop(executable, None)
        if fork_server is not None:
            self._selector.unregister(fork_server)
            fork_server.close()

    def fork(
        self,
        executable: str,
        identity: int,
        sealed: SealedSpec,
        inbound: Sequence[int],
        outbound: Sequence[int],
        others: Sequence[int],
        owned: Sequence[Closable],
    ) -> None:
        """Have a worker forked in this Python; as ForkServerClient.fork."""
        self._running[executable].fork(identity, sealed, inbound, outbound, others, owned)

    def watch(self) -> None:
        """Watch the sockets for reading, and those for writing on which something waits to be sent."""
        for executable, fork_server in self._running.items():
            if fork_server.socket_full != (executable in self._full):
                self._full ^= {executable}
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if fork_server.socket_full else 0)
                self._selector.modify(fork_server, events, self._on_exits)

    def exits(self) -> Iterator[Ended]:
        """The workers that have ended since the last call."""
        for fork_server in self._running.values():
            yield from fork_server.exits()

    def check(self) -> None:
        """Raises OSError if the system refused something to one of them."""
        for fork_server in self._running.values():
            fork_server.check()

    @property
    def gone(self) -> bool:
        """Whether one of them has ended, or none was started."""
        return not self._running or any(fork_server.gone for fork_server in self._running.values())

    @property
    def pids(self) -> dict[int, int]:
        """Identity → process of every worker that has not ended."""
        return {identity: pid for one in self._running.values() for identity, pid in one.pids.items()}

    def kill_workers(self) -> None:
        for fork_server in list(self._running.values()):
            fork_server.kill_workers()

    def end_workers(self, patience: float) -> None:
        """Kill all workers and wait until they are gone, `patience` seconds at most in all."""
        self.kill_workers()
        until = monotonic() + patience
        for fork_server in self._running.values():
            fork_server.end_workers(max(0.0, until - monotonic()))

    def close(self) -> None:
        for executable in list(self._running):
            self._drop(executable)
