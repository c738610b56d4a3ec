"""What survives the parent: output, dead letters, journal. The parent may die at every access to it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from simulator.scenario import Dice, key_of

from stagerunner.errors import StagerunnerError
from stagerunner.journal import Entry


class ParentKilled(StagerunnerError):
    """The parent was killed between two instructions. No guard may take this for an error of the sink."""


class Violation(StagerunnerError):
    """A promise was broken. It isn't a StagerunnerError, so that no code on the way handles it."""


class Output:
    """What one sink has written."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.row: dict[str, Any] | None = None
        """The journal row that a transaction sink stored with its rows."""
        self.renamed = 0

    @property
    def lines(self) -> int:
        return self.data.count(b"\n")


class Disk:
    """The files of one run with so many sinks.

    `fuse`: accesses left until the parent dies; None: it doesn't die here. `between`: the same for commits of a sink
    whose row still waits for another one.
    """

    def __init__(self, dice: Dice, sinks: int) -> None:
        self.outputs = [Output() for _ in range(sinks)]
        self.letters: list[dict[str, Any]] = []
        self.entry: Entry | None = None
        self.fuse: int | None = None
        self.between: int | None = None
        self.dice = dice

    def committed(self, number: int) -> None:
        """A sink has committed a row that others will have, too, unless the parent dies."""
        if self.between is not None and number + 1 < len(self.outputs):
            self.between -= 1
            if self.between < 0:
                raise ParentKilled

    def touch(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise ParentKilled


class SimJournal:
    """The interface of the journal, on the simulated disk."""

    path = Path("journal")

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def read(self) -> Entry | None:
        return deepcopy(self._disk.entry)

    def begin(self, fingerprint: dict[str, Any], hash_seed: str, row: dict[str, Any]) -> None:
        self._keep(Entry("running", fingerprint, hash_seed, row))

    def write(self, row: dict[str, Any]) -> None:
        entry, disk = self._entry, self._disk
        positions = row["sink"] if len(disk.outputs) > 1 else [row["sink"]]
        leads = any(at > len(output.data) for at, output in zip(positions, disk.outputs, strict=True))
        if leads or (row.get("letters") or 0) > len(disk.letters):
            raise Violation("the journal leads the sink")
        self._keep(Entry(entry.state, entry.fingerprint, entry.hash_seed, deepcopy(row)))

    def mark(self, state: str) -> None:
        entry = self._entry
        self._keep(Entry(state, entry.fingerprint, entry.hash_seed, entry.row))

    def _keep(self, entry: Entry) -> None:
        self._disk.touch()
        self._disk.entry = entry
        self._disk.touch()

    @property
    def _entry(self) -> Entry:
        entry = self._disk.entry
        assert entry is not None
        return entry

    def close(self) -> None:
        pass


class SimSink:
    """A sink with a buffer that is lost if the parent dies."""

    def __init__(self, disk: Disk, keeps: str, number: int = 0) -> None:
        self.keeps = keeps
        self._disk = disk
        self._number, self._output = number, disk.outputs[number]
        self._buffer = bytearray()

    def target(self) -> None:
        """No file, since none can be taken away in the simulation."""

    def open(self, position: Any) -> None:
        self._disk.touch()
        if self._output.renamed:
            raise Violation("the output was finished and is written again")
        if (position or 0) > len(self._output.data):
            raise Violation("the output is shorter than the journal says")
        if self.keeps == "truncate" or position is None:
            self.truncate(position or 0)

    def truncate(self, position: int) -> None:
        del self._output.data[position:]

    def write(self, data: Any) -> None:
        self._buffer += data
        if self.keeps == "truncate" and self._disk.dice.hits(0.3):
            self._push()

    def write_or_refuse(self, data: Any) -> dict[int, Exception]:
        """As a table whose rows have a key."""
        had = {_key(row) for row in bytes(self._output.data + self._buffer).splitlines()}
        refused: dict[int, Exception] = {}
        taken = bytearray()
        for number, row in enumerate(bytes(data).splitlines(True)):
            if (key := _key(row)) in had:
                refused[number] = KeyError("it is there")
            else:
                had.add(key)
                taken += row
        self.write(taken)
        return refused

    def _push(self) -> None:
        self._disk.touch()
        self._output.data += self._buffer
        self._buffer.clear()

    def position(self) -> int:
        return len(self._output.data) + len(self._buffer)

    def commit(self, row: Any) -> None:
        self._push()
        if self.keeps == "transaction":
            self._output.row = deepcopy(row)
            self._disk.committed(self._number)
        self._disk.touch()

    def last_row(self) -> dict[str, Any] | None:
        return deepcopy(self._output.row)

    def finish(self) -> None:
        self._push()
        self._output.renamed += 1
        self._disk.touch()

    def abort(self) -> None:
        if self.keeps == "truncate":
            self._push()


def _key(row: bytes) -> int:
    return key_of(int(row.split()[-1]))


class SimLetters:
    """The interface of `delivery.deadletters.DeadLetters`."""

    conceal = staticmethod(str)

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._waiting: list[dict[str, Any]] = []

    def open(self, position: int | None) -> None:
        self._disk.touch()
        if (position or 0) > len(self._disk.letters):
            raise Violation("the dead letters are fewer than the journal says")
        del self._disk.letters[position or 0 :]

    def write(self, line: dict[str, Any]) -> None:
        self._waiting.append(line)
        if self._disk.dice.hits(0.3):
            self.push()

    def push(self) -> None:
        self._disk.touch()
        self._disk.letters += self._waiting
        self._waiting.clear()

    def sync(self) -> None:
        pass

    @property
    def position(self) -> int:
        return len(self._disk.letters)

    def close(self) -> None:
        pass
