"""The plugin file of the crash matrix: one fault at one place of a worker's life.

For the places `import` and `unpickle` a fault comes from outside the stage: its environment, or the record it is sent.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from stagerunner import stage

Record = dict[str, Any]

POISON = "poison"


def fault(name: str, mark: str) -> None:
    """Do it. mark: a file that says that it was done, after which it isn't any more; "" for always."""
    if mark:
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    _FAULTS[name]()


def _raise() -> None:
    raise ValueError("as it was told")


def _leave() -> None:
    sys.exit(3)


def _segv() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def _loop() -> None:
    """Loop forever, sleeping, so that parallel cases don't suffer. One that never sleeps is in chaos_support.parts."""
    while True:
        time.sleep(0.001)


_FAULTS = {
    "raise": _raise,
    "SystemExit": _leave,
    "os._exit(0)": lambda: os._exit(0),
    "os._exit(1)": lambda: os._exit(1),
    "SIGSEGV": _segv,
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "loop": _loop,
}

if "CRASH_AT_IMPORT" in os.environ:
    fault(os.environ["CRASH_AT_IMPORT"], os.environ["CRASH_MARK"])


class Trap:
    """A value with a fault in its pickling or unpickling."""

    def __init__(self, at: str, name: str, mark: str) -> None:
        self.at, self.name, self.mark = at, name, mark

    def __reduce__(self) -> Any:
        if self.at == "pickle":
            fault(self.name, self.mark)
        if self.at != "unpickle":
            return (Trap, ("", "", ""))
        return (_sprung, (self.name, self.mark))


def _sprung(name: str, mark: str) -> Trap:
    fault(name, mark)
    return Trap("", "", "")


class Passing:
    """Hands records on. at: where the fault is. trap: leave one in the poison, for the next stage."""

    def __init__(self, *, at: str = "", fault: str = "", mark: str = "", harmless: bool = True, trap: bool = False):
        self.at, self.fault, self.mark, self.harmless, self.trap = at, fault, mark, harmless, trap

    def setup(self) -> None:
        self._come_to("setup")

    def process(self, record: Record) -> Record:
        record.pop("trap", None)
        if record["deed"] == POISON:
            self._poisoned(record)
        return record

    def close(self) -> None:
        self._come_to("close")

    def _poisoned(self, record: Record) -> None:
        if self.trap:
            record["trap"] = Trap("unpickle", self.fault, self.mark)
        elif self.harmless and self.at:
            raise ValueError("refused")
        elif self.at == "pickle":
            record["trap"] = Trap("pickle", self.fault, self.mark)
        else:
            self._come_to("transform")

    def _come_to(self, place: str) -> None:
        if self.at == place and not self.harmless:
            fault(self.fault, self.mark)


@stage
class Stateless(Passing):
    """Any worker may have any record."""


@stage
class Stateful(Passing):
    """Knows how many records came, and says so at the end."""

    count = 0

    def process(self, record: Record) -> Record:
        self.count += 1
        return super().process(record)

    def flush(self) -> Iterator[Record]:
        if self.at == "flush" and self.harmless:
            raise ValueError("refused")
        self._come_to("flush")
        yield {"key": "end", "value": self.count, "deed": ""}

    def snapshot(self) -> int:
        self._come_to("snapshot")
        return self.count

    def restore(self, data: int) -> None:
        self.count = data
