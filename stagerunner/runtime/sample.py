"""`show --sample N`: run the first N source records through the inline engine, and measure each stage.

Nothing is written: no output, no dead letters, no journal, no memo, whose hits would hide what a stage costs. The first
records, a tenth of the sample at most, warm up late imports and caches, and are left out of the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import process_time
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.delivery.writers import NullWriter
from stagerunner.errors import UsageError
from stagerunner.events import RecordFailed, StageTotals
from stagerunner.plan import Plan, PlannedStage
from stagerunner.plan.engines import BUILT_IN
from stagerunner.plan.source_list import in_order
from stagerunner.runtime.opening import begin_engine
from stagerunner.runtime.session import Session

WARMING = 10
"""One in so many records may be spent on warming up."""

ROUNDS = 4
"""So many times the calls that an async stage makes at once are the records of a frame."""

LISTS = 64
"""At least about so many records are in a frame for a stage that takes lists of a given size."""


class StageCost(Struct, frozen=True):
    """One stage. taken, out, failed: records of the whole sample. failure: the first one, as text.

    work, codec: seconds per source record in the stage, and for decoding and encoding around it. The first stage
    decodes the source, the last one encodes for the sink. each: seconds of work per record that the stage takes.
    """

    name: str
    taken: int
    out: int
    failed: int
    failure: str
    work: float
    codec: float
    each: float


class Sample(Struct, frozen=True):
    """What was measured. records: of the source. cpu: seconds of processor time for each, in stages and parent.

    frame: source records per frame. failures: of the source and the sink, by name.
    """

    records: int
    cpu: float
    frame: float
    stages: tuple[StageCost, ...]
    failures: dict[str, int]


class _Reading(Struct, frozen=True):
    """The metrics at one moment."""

    cpu: float
    taken: int
    frames: int
    stages: tuple[StageTotals, ...]


def sample(plan: Plan, number: int, records: Iterable[Any] | None = None) -> Sample:
    """Run the first `number` source records. records: for a plan without a source.

    Failures are counted and end nothing. Raises what a run raises: SetupFailed, RunFailed.
    """
    failures: dict[str, list[str]] = {}

    def listen(event: Any) -> None:
        if isinstance(event, RecordFailed) and event.type == "KeyboardInterrupt":
            raise KeyboardInterrupt  # Ctrl-C during a call is not the record's failure
        if isinstance(event, RecordFailed):
            failures.setdefault(event.stage, []).append(f"{event.type}: {event.message}")

    _check_place(plan)
    return _measured(_quiet(plan, number), number, listen, failures, records)


def calls_at_once(stage: PlannedStage) -> int:
    """How many calls an async stage makes at once; 0 for other stages."""
    return stage.work.concurrency if stage.work.form.awaited and not stage.work.form.state else 0


def _frame(plan: Plan, number: int) -> int | None:
    """Records of a frame. The inline engine ends one before it begins the next, so an async stage gets as many records
    together as keep its calls busy, and a stage that takes lists gets whole ones."""
    calls = max(map(calls_at_once, plan.stages), default=0)
    size = max((stage.work.batch or 0 for stage in plan.stages), default=0)
    lists = size * max(1, LISTS // size) if size else 0
    least = max(ROUNDS * calls, lists)
    return min(number, least) if least else plan.run.frame


def _check_place(plan: Plan) -> None:
    """Raises UsageError if a stage can't be measured in this process."""
    elsewhere = [stage.name for stage in plan.stages if stage.python is not None]
    if elsewhere:
        raise UsageError(f"'{elsewhere[0]}' runs in another Python, and a sample is measured in this one")


def _quiet(plan: Plan, number: int) -> Plan:
    """The plan on the inline engine, without anything written, and with failures skipped."""
    return replace(
        plan,
        engine=BUILT_IN["inline"],
        limit=number if plan.limit is None else min(number, plan.limit),
        dead_letter=None,
        dropped=None,
        run=replace(plan.run, engine="inline", journal="off", fuse="off", frame=_frame(plan, number)),
        source=in_order([_lenient(part) for part in plan.sources]),
        sinks=tuple(map(_lenient, plan.sinks)),
        stages=tuple(_lenient_stage(stage) for stage in plan.stages),
    )


def _lenient(part: Any) -> Any:
    return part and replace(part, settings=replace(part.settings, on_error="skip"))


def _lenient_stage(stage: PlannedStage) -> PlannedStage:
    settings = replace(stage.settings, on_error="skip", max_errors=None)
    return replace(
        stage, work=stage.work._replace(on_error="skip", memo=None, budget=None, drop_reason=""), settings=settings
    )


def _measured(
    plan: Plan,
    number: int,
    listen: Callable[[Any], None],
    failures: dict[str, list[str]],
    records: Iterable[Any] | None,
) -> Sample:
    with Session(plan, listen, records, engine=begin_engine(plan), writer=NullWriter()) as session:
        warm = _reading(session)
        while not session.over:
            session.step()
            if session.delivery.ledger.taken <= number // WARMING:
                warm = _reading(session)
        session.finish()
        end = _reading(session)
    if end.taken == warm.taken:  # all of it came in one frame
        warm = _Reading(0.0, 0, 0, ())
    return _sample(plan, warm, end, failures)


def _reading(session: Session) -> _Reading:
    summary = session.summary(0)
    return _Reading(process_time(), summary.records["in"], session.loop.window.last_sequence + 1, summary.stages)


def _sample(plan: Plan, warm: _Reading, end: _Reading, failures: dict[str, list[str]]) -> Sample:
    records = max(1, end.taken - warm.taken)
    before = {stage.name: stage for stage in warm.stages}
    named = {stage.name for stage in plan.stages}
    return Sample(
        end.taken,
        (end.cpu - warm.cpu) / records,
        records / max(1, end.frames - warm.frames),
        tuple(_cost(stage, before.get(stage.name), records, failures.get(stage.name, [])) for stage in end.stages),
        {name: len(messages) for name, messages in failures.items() if name not in named},
    )


def _cost(stage: StageTotals, before: StageTotals | None, records: int, failures: list[str]) -> StageCost:
    warm = before or StageTotals(stage.name)
    own = stage.taken - warm.taken
    work, codec = stage.work - warm.work, stage.codec - warm.codec
    return StageCost(
        stage.name,
        stage.taken,
        stage.out,
        len(failures),
        failures[0] if failures else "",
        work / records,
        codec / records,
        work / own if own else 0.0,
    )
