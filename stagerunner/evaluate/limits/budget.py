"""A stage's budget: it makes no further call once its workers together have counted so much.

    check, before a call ─▶ call ─▶ what it counted is added to this worker's own words ─▶ and written to the file

Each worker has its own words and reads those of all, so nothing is locked. A budget is exceeded by no more than the
calls that are running when it is reached. What a call has counted is spent even if it raises. Hits of a memo are no
calls and spend nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableSequence, Sequence
from typing import Any, TypeVar

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.failures import Spent
from stagerunner.evaluate.work import BudgetSpec

T = TypeVar("T")
Call = Callable[[Any], Any]

WORD = struct.Struct("<d")

CLOSE = 1 - 1e-9
"""The share of a limit from which on it is reached: 0.1 ten times makes a little less than 1."""


class Words:
    """The words on the metrics page of all workers of a stage. rows: of each worker, the index of its first word.

    own: the number of this worker.
    """

    def __init__(self, words: MutableSequence[float] | memoryview[float], rows: Sequence[int], own: int = 0) -> None:
        self._words = words
        self._rows = rows
        self.own = own

    def total(self, counter: int) -> float:
        """What all workers have spent of this counter."""
        return float(sum(self._words[row + counter] for row in self._rows))

    def add(self, counter: int, number: float) -> float:
        """Add to this worker's own word; what it holds then."""
        place = self._rows[self.own] + counter
        self._words[place] += number
        return float(self._words[place])


def own_words(spec: BudgetSpec) -> Words:
    """Words for a stage that has one worker."""
    return Words([0.0] * len(spec.limits), [0])


class Budget:
    """The budget of one stage in one worker."""

    def __init__(self, spec: BudgetSpec, words: Words) -> None:
        self._spec = spec
        self._words = words
        self._file: int | None = None
        self._unwritten = ""

    def check(self) -> None:
        """Raises Spent if no call may begin."""
        if self._unwritten:
            raise Spent(self._unwritten)
        for number, ((name, limit), before) in enumerate(zip(self._spec.limits, self._spec.before, strict=True)):
            spent = before + self._words.total(number)
            if spent >= limit * CLOSE:
                raise Spent(f"{name} {_amount(spent)} of {_amount(limit)}")

    def spend(self, counted: Mapping[str, float]) -> None:
        """Add what a call has counted."""
        for number, (name, _) in enumerate(self._spec.limits):
            if name in counted:
                self._write(number, self._words.add(number, counted[name]))

    def _write(self, counter: int, total: float) -> None:
        """Write this worker's total where a resumed run finds it. If that fails, no further call begins."""
        if not self._spec.path:
            return
        try:
            if self._file is None:
                self._file = os.open(self._spec.path, os.O_WRONLY | os.O_CLOEXEC)
            os.pwrite(self._file, WORD.pack(total), self._spec.place(self._words.own, counter))
        except OSError as error:
            self._unwritten = f"what was spent can't be written to {self._spec.path}: {error.strerror}"

    def around(self, call: Call) -> Call:
        """The same call; it is made only within the budget."""

        def check_and_call(argument: Any) -> Any:
            self.check()
            listener = stage_api.CallListener()
            try:
                return stage_api.heard(call, argument, listener)
            finally:
                self.spend(listener.extra)

        return check_and_call

    async def spending(self, attempt: Awaitable[T]) -> T:
        """Await an attempt within the current async call, and add what it has counted."""
        listener = stage_api.current.get()
        assert isinstance(listener, stage_api.CallListener)
        before = dict(listener.extra)
        try:
            return await attempt
        finally:
            self.spend({name: number - before.get(name, 0) for name, number in listener.extra.items()})

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _amount(number: float) -> str:
    return f"{round(number, 6):,.15g}"
