from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stagerunner.evaluate.async_evaluator import make_evaluator
from stagerunner.evaluate.evaluator import Evaluator
from stagerunner.evaluate.work import NoSlot, Slot, Work
from stagerunner.parts.forming import form_of
from stagerunner.records import Batch


class NotedSlot:
    """A slot that lists the calls of its methods."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def enter(self, record: int, since: int = 0, batch: Batch | None = None, *, alone: bool = True) -> None:
        self.calls.append(record)

    def leave(self) -> None:
        self.calls.append("left")

    def call(self, place: int, first: tuple[int, int], last: tuple[int, int]) -> None:
        self.calls.append((first, last))

    def called(self, place: int) -> None:
        pass


@pytest.fixture
def noted() -> NotedSlot:
    return NotedSlot()


@pytest.fixture
def work_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Work]:
    """The Work of a function or class defined in a test."""
    offered = types.ModuleType("offered_by_a_test")
    monkeypatch.setitem(sys.modules, offered.__name__, offered)

    def work(found: Any, **settings: Any) -> Work:
        setattr(offered, found.__name__, found)
        target = f"{offered.__name__}:{found.__name__}"
        return Work(
            **{"index": 0, "name": "tested", "target": target, "form": form_of(found), "delay": 0.0, **settings}
        )

    return work


@pytest.fixture
def stage_of(work_of: Callable[..., Work]) -> Iterator[Callable[..., Evaluator]]:
    """A function or class as a stage that is set up, and closed after the test."""
    made: list[Evaluator] = []

    def stage(found: Any, *, slot: Slot | None = None, **settings: Any) -> Evaluator:
        evaluator = make_evaluator(work_of(found, **settings), slot or NoSlot())
        made.append(evaluator)
        evaluator.setup()
        return evaluator

    yield stage
    for evaluator in made:
        evaluator.close()


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    """A batch of these records, one for each source record or with the origins given."""

    def batch(*records: Any, first: int = 0, origins: list[int] | None = None, **more: Any) -> Batch:
        last = more.pop("last", first + len(records) if origins is None else max(origins, default=first - 1) + 1)
        return Batch(list(records), first, last, origins, **more)

    return batch
