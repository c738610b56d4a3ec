"""`merge`: the finished shards of a run become its outputs.

    every journal says done, and of this chain ─▶ dead letters, dropped records ─▶ outputs: written beside, then renamed

Each step may be repeated: a merge that was killed is run again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from time import monotonic
from typing import Any

from msgspec import Struct

from stagerunner.config.masking import Mask
from stagerunner.delivery.deadletters import DeadLetters, label_of
from stagerunner.delivery.ledger import Ledger
from stagerunner.delivery.writers import calling
from stagerunner.errors import OutputBusy, RunFailed, UsageError
from stagerunner.evaluate.dead_letters.letters import HEAD, read_letter
from stagerunner.events import Summary
from stagerunner.guard import refused
from stagerunner.journal import Entry, Journal, differences
from stagerunner.plan import Plan
from stagerunner.plan.model import Shard
from stagerunner.plan.outputs import journal_path
from stagerunner.plan.shards import all_shards, sharded
from stagerunner.runtime.making import make_part
from stagerunner.runtime.resume import fingerprint
from stagerunner.runtime.summary import summary_of

BESIDE = ".merging"
"""Suffix of the output until it is whole."""


class Finished(Struct, frozen=True):
    """A shard that is done: its plan, its outputs in the order of the sinks, and the last row of its journal."""

    plan: Plan
    outputs: tuple[Path, ...]
    row: dict[str, Any]


def merge(plan: Plan, shards: int, *, allow_dead_letters: bool = False) -> Summary:
    """Join the outputs of all shards of this plan; returns the summary of the whole.

    Raises UsageError if the chain has no shards, or if one isn't finished or was run for another chain. Raises
    RunFailed if a stage has more failures in all than its `max_errors`, OutputBusy while another merge writes.
    """
    began = monotonic()
    finished = _finished(plan, shards)
    ledger = _ledger_of(plan, finished)
    sinks = [make_part(sink) for sink in plan.sinks]
    targets = [sink.target() for sink in sinks]
    for key, path, what in plan.letters:
        _join_letters(plan, path, targets[0], [_letters_in(one, key) for one in finished], what)
    for sink, target, *parts in zip(sinks, targets, *(one.outputs for one in finished), strict=True):
        _write(target, parts, sink)
    code = 3 if ledger.dead and not allow_dead_letters else 0
    dropped = sum(one.row.get("dropped") or 0 for one in finished)
    return summary_of(plan, ledger, [], monotonic() - began, code, whole=True, dropped=dropped)


def remove_shards(plan: Plan, shards: int) -> None:
    """Remove the outputs, dead letters and journals of all shards."""
    for one in _finished(plan, shards):
        letters = (path for _, path, _ in one.plan.letters)
        for path in (*one.outputs, *map(journal_path, one.outputs), *letters):
            path.unlink(missing_ok=True)


def _finished(plan: Plan, shards: int) -> list[Finished]:
    """All shards, if each is done. Raises UsageError that names all that are not."""
    found, why = [], []
    for shard in all_shards(shards):
        one = sharded(plan, shard)
        try:
            found.append(_one_finished(one, shard))
        except UsageError as error:
            why.append(str(error))
    if why:
        raise UsageError("not every shard is ready to be merged:\n  " + "\n  ".join(why))
    return found


def _one_finished(plan: Plan, shard: Shard) -> Finished:
    outputs: tuple[Path, ...] = tuple(make_part(sink).target() for sink in plan.sinks)
    path = journal_path(outputs[0])
    if not path.exists():
        raise UsageError(f"shard {shard} was not run, or its journal {path} is gone")
    try:
        journal = Journal(path)
    except OutputBusy:
        raise UsageError(f"shard {shard} is being run") from None
    try:
        entry = journal.read()
    finally:
        journal.close()
    if entry is None or entry.state != "done":
        raise UsageError(f"shard {shard} is not finished; `run … --shard {shard} --resume` goes on with it")
    if changed := _changed(plan, entry):
        raise UsageError(f"shard {shard} was run for another chain: {'; '.join(changed)}")
    for output in outputs:
        if not output.is_file():
            raise UsageError(f"the output {output} of shard {shard} is gone; run it again")
    return Finished(plan, outputs, entry.row)


def _changed(plan: Plan, entry: Entry) -> list[str]:
    now = fingerprint(plan, make_part(plan.source), entry.fingerprint.get("salt", ""))
    return differences(entry.fingerprint, now)


def _ledger_of(plan: Plan, finished: list[Finished]) -> Ledger:
    total = Ledger(len(plan.stages), sinks=len(plan.sinks), branches=plan.branches)
    for one in finished:
        ledger = Ledger(len(plan.stages), sinks=len(plan.sinks), branches=plan.branches)
        ledger.restore(one.row["ledger"])
        total.add(ledger.entries.values())
    for stage in plan.stages:
        failed = sum(one.row["failures"].get(str(stage.work.index), 0) for one in finished)
        if stage.settings.max_errors is not None and failed > stage.settings.max_errors:
            raise RunFailed(f"{stage.name} had {failed} failures in all shards, more than its max_errors allows")
    return total


# Dead letters


def _letters_in(one: Finished, key: str) -> Iterator[dict[str, Any]]:
    """The letters of a shard, without what says whose they are."""
    if not one.row.get(key):
        return
    path = next(path for held, path, _ in one.plan.letters if held == key)
    with path.open("rb") as lines:
        for line in lines:
            letter = read_letter(line)
            if letter is None:
                raise UsageError(f"{path} holds something other than what the shard has written")
            yield {name: value for name, value in letter.items() if name not in HEAD}


def _join_letters(plan: Plan, path: Path, target: Path, shards: list[Iterator[dict[str, Any]]], what: str) -> None:
    label = label_of(path, target, "")
    file = DeadLetters(path, Mask(plan.secrets), label, (f"{label} (replay)",), what)
    try:
        file.open(None)
        for letters in shards:
            for letter in letters:
                file.write(letter)
        file.push()
        file.sync()
    finally:
        file.close()


# The output


def _write(target: Path, parts: list[Path], sink: Any) -> None:
    """Write the output under another name, and rename it when it is whole."""
    place = target.with_name(target.name + BESIDE)
    try:
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        with open(fd, "wb") as file:
            try:
                flock(fd, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise OutputBusy(f"another merge is writing {place}") from None
            file.truncate(0)
            with calling(sink, "joined"):
                for data in sink.joined(parts):
                    file.write(data)
            file.flush()
            os.fsync(fd)
            if target.exists():
                os.fchmod(fd, target.stat().st_mode & 0o7777)
            place.replace(target)
    except OSError as error:
        raise refused(error, f"{target} can't be written") from None
