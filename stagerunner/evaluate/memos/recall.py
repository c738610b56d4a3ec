"""A memo in a stage that is async or takes lists: what is kept is known before any call, and equal records share one.

batch comes ─▶ each record: kept? known · equal to one that waits or is in a call? its twin · else it waits for a call
call ends ─▶ its results are kept ─▶ their twins are known too; after a failure the first twin waits for a call itself
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.failures import CallFailure
from stagerunner.evaluate.memos.memo import Kept, Memo
from stagerunner.evaluate.outcome.pending_batch import CallOutcome, PendingBatch
from stagerunner.records import DROP, Batch
from stagerunner.tuples import NamedTuple


class Place(NamedTuple):
    """A record of a pending batch."""

    pending: PendingBatch
    record: int


Settled = tuple[Place, CallOutcome | None]
"""A twin, and its outcome; None if it has to be called."""


class Recall:
    """The memo of a stage whose records wait in `Gathering`."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._lists = memo.work.form.batch
        self._drops = memo.work.form.drops
        self._keys: dict[Place, bytes] = {}
        """The key of each record that waits or is in a call."""
        self._twins: dict[bytes, list[Place]] = {}
        """Key of such a record → the equal ones that came later, in order."""

    def look_up(self, batch: Batch, refused: Iterable[int]) -> tuple[list[CallOutcome], dict[int, bytes]]:
        """The outcomes of records that are kept, and the keys of the others that have one."""
        known: list[CallOutcome] = []
        keys: dict[int, bytes] = {}
        skipped = set(refused)
        for index, record in enumerate(batch.records):
            if index in skipped or (key := self._memo.key(record)) is None:
                continue
            kept = self._memo.find(key)
            if kept is None:
                keys[index] = key
            else:
                known.append(self._outcome(index, kept))
        return known, keys

    def _outcome(self, index: int, kept: Kept) -> CallOutcome:
        """The outcome of a record whose result is kept."""
        found = [kept.given] if self._lists and not isinstance(kept.given, CallFailure) else kept.given
        return CallOutcome(index, index + 1, found, kept.counted())

    def begun(self, pending: PendingBatch, keys: dict[int, bytes]) -> int:
        """Note the keys of a batch's records. Those equal to earlier ones wait for these; returns how many."""
        held = 0
        for index, key in keys.items():
            place = Place(pending, index)
            twins = self._twins.get(key)
            if twins is None:
                self._twins[key] = []
                self._keys[place] = key
            elif pending.wants(index):
                twins.append(place)
                pending.hold(index)
                held += 1
        return held

    def ended(self, pending: PendingBatch, outcome: CallOutcome, *, keep: bool) -> Iterator[Settled]:
        """Keep what a call gave, if it is to be kept. Gives the twins of its records that this settles."""
        for index, given in enumerate(self._given(outcome), outcome.start):
            key = self._keys.pop(Place(pending, index), None)
            if key is None:
                continue
            twins = self._twins.pop(key)
            extra = outcome.extra if index == outcome.end - 1 else {}
            data = self._kept(key, given, extra) if keep else None
            if data is not None:
                yield from ((twin, self._outcome(twin.record, Kept(*pickle.loads(data)))) for twin in twins)
            elif twins:
                self._keys[twins[0]] = key
                self._twins[key] = twins[1:]
                yield twins[0], None

    def _given(self, outcome: CallOutcome) -> list[Any]:
        """What each record gave."""
        if isinstance(outcome.found, CallFailure):
            return [outcome.found] * (outcome.end - outcome.start)
        return list(outcome.found) if self._lists else [outcome.found]

    def _kept(self, key: bytes, given: Any, extra: dict[str, int]) -> bytes | None:
        failed = isinstance(given, CallFailure) and given.policy != DROP
        if failed or (given is None and not self._drops):
            return None
        listener = stage_api.CallListener()
        listener.extra = extra
        return self._memo.keep(key, given, listener)
