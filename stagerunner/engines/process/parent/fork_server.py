"""The parent's side of the fork server: start it, have workers forked, read how they ended, kill them."""

from __future__ import annotations

import errno
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from stagerunner.engines.process.beginning import DISCONNECTED, REFUSED, UNREADABLE
from stagerunner.interpreters import environment as foreign
from stagerunner.interpreters import program
from stagerunner.wire.messages import LENGTH, Closable, Outbox, send_message

if TYPE_CHECKING:
    from stagerunner.wire.spec import SealedSpec

MOST_ASKED = 32
MOST_ON_WAY = 512
"""Forks without an answer, and the descriptors sent with them, at most. The system counts descriptors in flight against
the limit on open files; and if answers filled the socket, both sides would wait forever."""

FORK_SERVER = "stagerunner.engines.process.forkserver"

BEGIN = "from stagerunner.engines.process.beginning import begin; begin({!r})"
HASTE = "import gc; gc.disable(); "
"""Run a module without garbage collection during its imports: modules are never garbage (saves 4 of 55 ms)."""


ENDING = 1.0
"""Seconds to wait for the status of a process that is ending."""


class Ended(Struct, frozen=True):
    """A worker that has ended. `status` is an exit status, or minus the signal that killed it."""

    identity: int
    pid: int
    status: int

    @property
    def how(self) -> str:
        return how_ended(self.status)


def how_ended(status: int) -> str:
    """ "SIGKILL" or "exit status 3"."""
    if status == DISCONNECTED:
        return "a stage that closed its descriptors"
    if status == UNREADABLE:
        return "records that it can't unpickle"
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


class ForkServerClient:
    """A running fork server. hash_seed: the PYTHONHASHSEED of every worker of the run. other: the Python it runs in, if
    that isn't ours."""

    def __init__(self, hash_seed: str | None = None, other: OtherPython | None = None) -> None:
        ours, theirs = socket.socketpair()
        life, self._life = os.pipe()
        self._sock = ours
        self._received = bytearray()
        self._outbox = Outbox(ours)
        self._waiting: deque[int] = deque()
        self._unanswered: deque[int] = deque()
        """How many descriptors go with each fork that waits to be sent, and with each that is not answered yet."""
        self.socket_full = False
        """The socket is full: call `pump` when it can be written."""
        self.pids: dict[int, int] = {}
        self.gone = False
        self.answered_all = True
        """Whether it has reported the end of every worker that it was asked to fork."""
        self._refusal: OSError | None = None
        self._unused = True
        """No worker was forked yet: the fork server has nothing to end."""
        try:
            self._process = run_module(FORK_SERVER, (theirs.fileno(), life), 2, hash_seed, other)
        except BaseException:
            ours.close()
            os.close(self._life)
            raise
        finally:
            theirs.close()
            os.close(life)

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        return self._sock.fileno()

    def fork(
        self,
        identity: int,
        sealed: SealedSpec,
        inbound: Sequence[int],
        outbound: Sequence[int],
        others: Sequence[int],
        owned: Sequence[Closable] = (),
    ) -> None:
        """Have a worker forked with these descriptors. owned: closed here once they are sent.

        Never waits: what the socket can't take now is sent by `pump`. Raises OSError if the fork server is gone.
        """
        self._unused = False
        descriptors = [*inbound, *outbound, *others]
        self._waiting.append(len(descriptors))
        self._outbox.put((identity, len(inbound), len(outbound), sealed), descriptors, owned)
        self.pump()

    def pump(self) -> None:
        """Send as many forks as the fork server keeps up with. Raises OSError if the fork server is gone."""
        self.socket_full = False
        while self._waiting and (
            not self._unanswered or (len(self._unanswered) < MOST_ASKED and sum(self._unanswered) < MOST_ON_WAY)
        ):
            if not self._outbox.send():
                self.socket_full = True
                return
            self._unanswered.append(self._waiting.popleft())

    def preload(self, modules: list[str]) -> None:
        """Have the fork server import modules that every worker needs."""
        self._send(modules)

    def allow_descriptors(self, descriptors: int) -> None:
        """Have the fork server raise its limit on open files: descriptors of workers pass through it."""
        self._send(descriptors)

    def _send(self, said: list[str] | int) -> None:
        with suppress(BrokenPipeError):  # the next fork fails, and says so
            send_message(self._sock, said)

    def exits(self) -> Iterator[Ended]:
        """The workers that have ended since the last call. Sets `gone` when the fork server has closed its end. Never
        waits."""
        while True:
            try:
                data = self._sock.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.gone = True
                break
            self._received += data
        yield from self._messages()
        if self._waiting and not self.gone:
            with suppress(OSError):  # `gone` is set by the next call
                self.pump()

    def _messages(self) -> Iterator[Ended]:
        while len(self._received) >= 2 * LENGTH.size:
            end = 2 * LENGTH.size + LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                return
            message: tuple[Any, ...] = pickle.loads(self._received[2 * LENGTH.size : end])
            del self._received[:end]
            if message[0] == "started":
                self._unanswered.popleft()
                self.pids[message[1]] = message[2]
            elif message[0] == "refused":
                self._refusal = OSError(message[1], os.strerror(message[1]))
            else:
                self.pids.pop(message[1], None)
                yield Ended(*message[1:])

    def check(self) -> None:
        """Raises OSError if the system refused to fork a worker, or refused what the fork server itself needs."""
        if self._refusal is None and self.gone:
            self._refusal = refusal_of(self._process)
        if self._refusal is not None:
            raise self._refusal

    def kill_workers(self) -> None:
        """Send SIGKILL to the process group of every worker that has not ended."""
        for pid in list(self.pids.values()):
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)

    def end_workers(self, patience: float) -> None:
        """Kill all workers and wait until they are gone, `patience` seconds at most."""
        until = monotonic() + patience
        self._drop_waiting()
        for _ in self.exits():
            pass
        while (self.pids or self._unanswered) and not self.gone and (left := until - monotonic()) > 0:
            self.kill_workers()
            wait_for(self._sock.fileno(), left)
            for _ in self.exits():
                pass
        self.answered_all = not (self.gone or self.pids or self._unanswered or self._outbox.torn)

    def _drop_waiting(self) -> None:
        """Drop the forks that wait to be sent."""
        self._waiting.clear()
        self._outbox.clear()
        self.socket_full = False

    def close(self) -> None:
        """Kill all workers and wait a moment for the fork server to end; kill it if it is stuck or unused."""
        self.kill_workers()
        if self._unused:
            self._process.kill()
        self._drop_waiting()
        os.close(self._life)
        self._wait_for_close()
        self._sock.close()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.kill_workers()
            self._process.kill()
            self._process.wait()

    def _wait_for_close(self) -> None:
        """Wait until the fork server ends, by its end of the socket: `Popen.wait` with a timeout would poll."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(ENDING)
            while self._sock.recv(65536):
                pass


def wait_for(fd: int, seconds: float) -> None:
    """Wait until the descriptor can be read. By `poll`, because `select` takes no descriptor from 1024 on."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(seconds * 1000)


class OtherPython(Struct, frozen=True):
    """Another Python. packages: those of ours, besides stagerunner, that it can import."""

    executable: str
    packages: tuple[str, ...] = ()


def run_module(
    module: str,
    descriptors: tuple[int, ...],
    output: int,
    hash_seed: str | None,
    other: OtherPython | None = None,
) -> subprocess.Popen[bytes]:
    """A new interpreter that runs a module of stagerunner with these descriptors and our `sys.path`. other: see
    `interpreters`.

    It has a process group of its own, so that Ctrl-C reaches the parent only, but stays in our session: if the parent
    ends while it is stopped, the kernel continues it. On Linux see also `signal_at_parents_end`.
    """
    executable, begin = sys.executable, HASTE + BEGIN.format(module)
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(path or os.curdir for path in sys.path)
    if other is not None:
        executable, begin = other.executable, program(BEGIN.format(module), other.packages)
        environment = foreign(environment)
    command = [executable, "-P", "-c", begin, *map(str, descriptors)]
    if "PYTHONPATH" in os.environ:
        command.append(os.environ["PYTHONPATH"])
    environment["PYTHONHASHSEED"] = hash_seed or environment.get("PYTHONHASHSEED") or new_hash_seed()
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=descriptors,
        process_group=0,
    )


def refusal_of(process: subprocess.Popen[bytes]) -> OSError | None:
    """The error of a process that ended because the system refused it something; None for any other end."""
    try:
        status = process.wait(ENDING)
    except subprocess.TimeoutExpired:
        return None
    return OSError(errno.ENOMEM, "a process of ours could not begin") if status == REFUSED else None


def new_hash_seed() -> str:
    """A PYTHONHASHSEED: all workers of a run and its resumes iterate over sets of text in the same order."""
    # Not `secrets`: it imports much, and this number is not secret.
    return str(int.from_bytes(os.urandom(8), "big") % (2**32 - 1) + 1)
