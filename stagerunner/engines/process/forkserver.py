"""The fork server: a light, single-threaded process that forks workers and outlives the parent by an instant.

Over its socket the parent sends one message per worker: its Order and its descriptors. The fork server answers with
("started", id, pid), and with ("ended", id, pid, status) when one has ended. A list instead names modules of ours that
the workers will need: the fork server imports them at once, one for all. A number says how many descriptors one of them
is going to have. On the life pipe nothing is ever written; its end means that the parent is gone: the fork server kills
every process group and leaves.

It forks from a small image in which nothing of the user's has been imported, so a worker is ready in milliseconds and
no thread or lock of anybody's is copied. What all workers need is made before the fork: each page of memory that a
worker touches first is copied, which takes 3 to 4 µs, and is most of what its start costs.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from stagerunner.engines.process.beginning import signal_at_parents_end
from stagerunner.engines.process.worker import main as worker
from stagerunner.evaluate.wording import describe
from stagerunner.wire.messages import hear, tell

USUAL = ("stagerunner.parts.sink", "stagerunner.parts.source", "stagerunner.parts.hooks", "glob", "pathlib")
"""What parts are mostly written with, ours or the standard library's, so that it can be known to start no thread."""

QUIET = 0.1
"""Seconds without a word, once anybody was started, before more is imported ahead: workers that begin need the
cores."""


class ForkServer:
    """What the fork server knows: its socket, the life pipe, and the workers that live."""

    def __init__(self, sock: socket.socket, life: int) -> None:
        self._sock = sock
        self._life = life
        self._alive: dict[int, int] = {}
        self._ahead = [*USUAL]
        self._patience = 0.0
        self._pid = os.getpid()
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)

    def run(self) -> None:
        """Until the parent is gone, or closes the socket."""
        self._prepare()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        try:
            while self._turn():
                pass
        finally:
            self._kill_all()

    def _prepare(self) -> None:
        """Have what every worker inherits: standard streams, which are to be pipes, and where faults are told."""
        errors = os.dup(2)
        for standard in (1, 2):
            os.dup2(self._woken, standard)
        sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
        for standard in (1, 2):
            os.dup2(errors, standard)
        os.close(errors)
        faulthandler.enable(2)
        faulthandler.register(signal.SIGUSR1, 2, chain=False)

    def _turn(self) -> bool:
        watched: list[Any] = [self._sock, self._life, self._wake]
        ready, _, _ = select.select(watched, [], [], self._patience if self._ahead else None)
        if not ready:  # nobody asks for a worker just now: have ready what each would import by itself
            import_module(self._ahead.pop())
            return True
        if self._wake in ready:
            os.read(self._wake, 4096)
        self._reap()
        if self._life in ready:
            return False
        return self._sock not in ready or self._hear()

    def _hear(self) -> bool:
        try:
            heard = hear(self._sock)
        except OSError as error:
            return self._refuse(error)
        if heard is None:
            return False
        message, descriptors = heard
        if isinstance(message, int):
            _allow(message)
            return True
        if isinstance(message, list):
            for module in message:
                with suppress(Exception):  # a worker will say it better
                    import_module(module)
            return True
        return self._fork(message, descriptors)

    def _fork(self, message: Any, descriptors: list[int]) -> bool:
        identity, inbound, outbound, sealed = message
        self._patience = QUIET
        gc.freeze()
        try:
            pid = os.fork()
        except OSError as error:
            return self._refuse(error)
        if pid == 0:
            os._exit(self._become(sealed, inbound, outbound, descriptors))
        self._alive[pid] = identity
        with suppress(OSError):  # the child was faster, or is gone already
            os.setpgid(pid, pid)
        for descriptor in descriptors:
            os.close(descriptor)
        return self._answer(("started", identity, pid))

    def _refuse(self, error: OSError) -> bool:
        """The system does; the parent ends the run, and nothing that was sent is of use to anybody."""
        self._answer(("refused", error.errno))
        return False

    def _answer(self, message: Any) -> bool:
        try:
            tell(self._sock, message)
        except OSError:
            return False
        return True

    def _reap(self) -> None:
        while self._alive:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            identity = self._alive.pop(pid, None)
            if identity is not None:
                _kill_group(pid)  # what the worker has started itself
                self._answer(("ended", identity, pid, os.waitstatus_to_exitcode(status)))

    def _kill_all(self) -> None:
        for pid in self._alive:
            _kill_group(pid)

    # In the child

    def _become(self, sealed: Any, inbound: int, outbound: int, descriptors: list[int]) -> int:
        """Turn this fork into a worker; its exit status."""
        try:
            os.setpgid(0, 0)
            self._die_with_us()
            signal.set_wakeup_fd(-1)
            sys.excepthook = sys.__excepthook__
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            *rest, metrics, output = descriptors
            self._print_to(output)
            for descriptor in (self._sock.detach(), self._life, self._wake, self._woken):
                os.close(descriptor)
            spec = sealed.opened()
            pipes, arena = (rest[:-1], rest[-1]) if spec.owners else (rest, None)
            return worker.main(spec, pipes[:inbound], pipes[inbound:], metrics, arena)
        except BaseException as error:
            os.write(2, f"{describe(error)}\n".encode(errors="backslashreplace"))
            return 1

    def _die_with_us(self) -> None:
        """Be killed when the fork server dies; it may have done so already."""
        signal_at_parents_end(signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)

    def _print_to(self, output: int) -> None:
        """What is printed goes to the parent, who labels it. Standard input is empty, as the fork server's is."""
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)


def _allow(descriptors: int) -> None:
    """Have the limit on open files raised to this, for us and for all workers; as far as it can be."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, hard), hard))


def _kill_group(pid: int) -> None:
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Arguments: the numbers of the socket and of the life pipe, and PYTHONPATH as the user had it, if it was set (the
    parent needs the variable to hand its own path over)."""
    os.environ.pop("PYTHONPATH", None)
    if len(sys.argv) > 3:
        os.environ["PYTHONPATH"] = sys.argv[3]
    sock = socket.socket(fileno=int(sys.argv[1]))
    ForkServer(sock, int(sys.argv[2])).run()
    os._exit(0)  # there is nothing to tidy up, and the parent waits for our end
