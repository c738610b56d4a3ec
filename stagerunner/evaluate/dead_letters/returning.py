"""Replaying dead letters: a source of their records, each of which enters the chain at the stage where it failed.

A record that enters after the first stage travels as an `Entering` and passes the stages before untouched. So it keeps
its place, and order is kept across stages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

from stagerunner.evaluate.copying import no_copy
from stagerunner.evaluate.dead_letters.letters import STAYS, read_letter
from stagerunner.evaluate.forms import as_list
from stagerunner.evaluate.wording import nearest
from stagerunner.evaluate.work import Work
from stagerunner.records import Entering, Malformed, Origin, Split

CHUNK = 2**20
_PLACES = ("name", "offset", "number", "line")


def bare(record: Any) -> Any:
    """The record without its `Entering`."""
    return record.record if type(record) is Entering else record


# Letters


def entry_of(
    letter: dict[str, Any] | None, stages: list[str], start: str | None, sinks: Sequence[str] = ("sink",)
) -> int | str:
    """The index of the stage at which a letter's record enters (the first sink's: the number of stages), or why it
    can't."""
    if letter is None:
        return "this line isn't a dead letter"
    if "altered" in letter:
        return f"the letter doesn't hold the record as the stage got it: {letter['altered']}"
    if letter.get("record") is None:
        return "the letter holds no record, or only its text"
    name = letter["stage"] if start is None else start
    if name in stages:
        return stages.index(name)
    if name in sinks:
        return len(stages) + sinks.index(name)
    if name == "source":
        return "the source could not read it: correct the input, or send what was read to a stage with --from STAGE"
    near = nearest(name, [*stages, *sinks])
    meant = f" (is it {near!r} now?)" if near else ""
    return f"the chain has no stage {name!r}{meant}; choose one with --from STAGE"


class Letters:
    """The source of the records of a dead-letter file. A letter that can't come back stays a dead letter, unchanged.

    path: the file. stages: names of the chain's stages. start: the stage at which all enter; None: each at its own.
    sinks: their names, if the chain branches: then a record that enters at one of them goes to that one only.
    """

    max_record = 0

    def __init__(self, *, path: str, stages: list[str], start: str | None = None, sinks: Sequence[str] = ()) -> None:
        self._sinks = sinks
        self._path = path
        self._stages = stages
        self._start = start
        self._asked: tuple[Any, list[Origin]] = (None, [])

    def size(self) -> int:
        return os.path.getsize(self._path)  # noqa: PTH202  (a worker does without pathlib)

    def identity(self) -> Any:
        with open(self._path, "rb") as file:
            return {"path": self._path, "size": self.size(), "head": f"{crc32(file.read(CHUNK)):08x}"}

    def splits(self, after: Any, want: Any) -> Iterator[Split]:
        """after: the offset at which the last split ended."""
        start, size = after or 0, self.size()
        with open(self._path, "rb") as file:
            while start < size:
                file.seek(min(size, start + max(1, min(want.size, CHUNK)) - 1))
                file.readline()
                stop = min(size, file.tell())
                yield Split((start, stop), stop - start, stop)
                start = stop

    def read(self, split: Split) -> Iterator[Any]:
        for line in self._lines(split):
            letter = read_letter(line)
            entry = entry_of(letter, self._stages, self._start, self._sinks or ("sink",))
            if isinstance(entry, str):
                yield Malformed(STAYS, entry, line.decode(errors="surrogateescape"))
            else:
                record = letter["record"] if letter else None
                there = entry > 0 if not self._sinks else entry > 0 or entry >= len(self._stages)
                yield Entering(entry, record) if there else record

    def locate(self, split: Split, number: int) -> Origin:
        """The record's origin when it first failed."""
        if self._asked[0] != split.data:
            self._asked = (split.data, [_origin(read_letter(line)) for line in self._lines(split)])
        return self._asked[1][number]

    def _lines(self, split: Split) -> list[bytes]:
        start, stop = split.data
        with open(self._path, "rb") as file:
            file.seek(start)
            return [line for line in file.read(stop - start).split(b"\n") if line.strip()]


def _origin(letter: dict[str, Any] | None) -> Origin:
    found = (letter or {}).get("origin")
    places = found if isinstance(found, dict) else {}
    tried = (letter or {}).get("attempts")
    known = {name: places[name] for name in _PLACES if type(places.get(name)) in (int, str)}
    return Origin(**{"name": "", **known}, tried=tried if type(tried) is int else 0)


# Stages


def with_entering(call: Callable[[Any], Any], work: Work) -> Callable[[Any], Any]:
    """Wrap a stage's transform so that records which enter after this stage pass it untouched."""
    form, index, last = work.form, work.index, work.index + 1 == work.stages

    def passes(record: Any) -> bool:
        return type(record) is Entering and record.stage > index

    def passed(record: Any) -> Any:
        return record.record if last else record  # no later stage would unwrap it

    def one(record: Any) -> Any:
        return passed(record) if passes(record) else call(bare(record))

    def many(record: Any) -> Iterable[Any]:
        return (passed(record),) if passes(record) else call(bare(record))

    async def awaited(record: Any) -> Any:
        if passes(record):
            return [passed(record)] if form.many else passed(record)
        return await call(bare(record))

    def ours(records: list[Any]) -> list[Any]:
        return [bare(record) for record in records if not passes(record)]

    def merged(records: list[Any], found: Any, number: int) -> list[Any]:
        results = iter(as_list(found, number, work, no_copy))
        entering = (lambda record: [passed(record)]) if form.many else passed
        return [entering(record) if passes(record) else next(results) for record in records]

    def batch(records: list[Any]) -> list[Any]:
        given = ours(records)
        return merged(records, call(given) if given else [], len(given))

    async def awaited_batch(records: list[Any]) -> list[Any]:
        given = ours(records)
        return merged(records, await call(given) if given else [], len(given))

    if form.batch:
        return awaited_batch if form.awaited else batch
    if form.awaited:
        return awaited
    return many if form.many else one
