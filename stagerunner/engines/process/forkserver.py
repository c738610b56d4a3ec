"""The fork server: a light, single-threaded process that forks workers and outlives the parent by an instant.

Messages from the parent, over a socket:

* (id, inbound, outbound, sealed spec), with descriptors: fork a worker. The answers are ("started", id, pid), and
  ("ended", id, pid, status) when it has ended.
* a list of module names: import them now, once for all workers.
* a number: a worker will need so many descriptors.

Nothing is ever written to the life pipe. Its end means that the parent is gone: the fork server kills every process
group and leaves.

No user code is imported before the fork, so a worker inherits no threads and no locks, and is ready in milliseconds.
What every worker needs is set up before the fork. The kernel copies each page that a worker touches first, 3 to 4 µs a
page, and that is most of what a start costs.
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
from functools import partial
from importlib import import_module
from typing import Any

from stagerunner.engines.process.worker import main as worker
from stagerunner.engines.process.worker.tuning import with_room
from stagerunner.evaluate.wording import describe
from stagerunner.inherited import signal_at_parents_end
from stagerunner.wire.messages import receive_message, send_message

USUAL = ("stagerunner.parts.sink", "stagerunner.parts.source", "stagerunner.parts.hooks", "glob", "pathlib")
"""Modules that most parts import. They start no threads."""

QUIET = 0.1
"""Seconds without a message before more is imported ahead, once there are workers: a worker that starts needs the
core."""


class ForkServer:
    """The socket, the life pipe, and the workers that are alive."""

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
        """Serve until the parent is gone or closes the socket."""
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
        """Set up what every worker inherits: standard streams that are pipes, and the fault handler."""
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
        if not ready:  # idle: import now what each worker would import by itself
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
            heard = receive_message(self._sock)
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
                with suppress(Exception):  # the worker that needs it reports the error with its stage
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
        with suppress(OSError):  # the child has done it, or is gone
            os.setpgid(pid, pid)
        for descriptor in descriptors:
            os.close(descriptor)
        return self._answer(("started", identity, pid))

    def _refuse(self, error: OSError) -> bool:
        """Report that the system refused a fork or a message; the parent ends the run."""
        self._answer(("refused", error.errno))
        return False

    def _answer(self, message: Any) -> bool:
        try:
            send_message(self._sock, message)
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
                _kill_group(pid)  # processes that the worker started
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
            return with_room(partial(worker.main, spec, pipes[:inbound], pipes[inbound:], metrics, arena))
        except BaseException as error:
            os.write(2, f"{describe(error)}\n".encode(errors="backslashreplace"))
            return 1

    def _die_with_us(self) -> None:
        """Have the kernel kill this worker when the fork server dies; it may be dead already."""
        signal_at_parents_end(signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)

    def _print_to(self, output: int) -> None:
        """Send what is printed to the parent, which labels it. Standard input is empty, like the fork server's."""
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)


def _allow(descriptors: int) -> None:
    """Raise the limit on open files to this, or as far as the hard limit lets us, for this process and its workers."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, hard), hard))


def _kill_group(pid: int) -> None:
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Arguments: the numbers of the socket and of the life pipe, and the user's PYTHONPATH, if it was set. The variable
    itself has the parent's path."""
    os.environ.pop("PYTHONPATH", None)
    if len(sys.argv) > 3:
        os.environ["PYTHONPATH"] = sys.argv[3]
    sock = socket.socket(fileno=int(sys.argv[1]))
    ForkServer(sock, int(sys.argv[2])).run()
    os._exit(0)  # nothing is left to clean up, and the parent waits for this process to end
