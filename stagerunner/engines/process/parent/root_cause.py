"""The root cause among several deaths, and workers that are over a limit of time or memory."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic_ns

from stagerunner.engines.base import Trouble
from stagerunner.engines.process.parent.fork_server import Ended
from stagerunner.engines.process.parent.memory import resident
from stagerunner.engines.slots import trouble_in_slots
from stagerunner.wire.metrics import (
    DECODING,
    ENCODING,
    FLUSHING,
    LEFT,
    READING,
    RECORD,
    SETTING_UP,
    SINCE,
    SNAPSHOT,
    STARTING,
    STATE,
    WORKING,
    WRITING,
    MetricsPage,
)
from stagerunner.wire.spec import WorkerSpec

LINGERING = 0.5
"""Seconds that a cancelled async call has to end, before its worker is killed."""


def root_cause(deaths: list[Ended], specs: Mapping[int, WorkerSpec], page: MetricsPage, why: str) -> Trouble:
    """The first death that is not a consequence of another. Ties: a signal before an exit status, then the earlier
    stage. why: what to say if there is none."""
    causes = [death for death in deaths if is_cause(death, specs[death.identity], page)]
    causes = causes or [death for death in deaths if not _left(specs[death.identity], page)]
    if not causes:
        return Trouble("", 0, 0, why)
    cause = min(causes, key=lambda death: (death.status >= 0, _index(specs[death.identity])))
    return trouble_in_slots(specs[cause.identity], page, cause.pid, cause.how)


def is_cause(death: Ended, spec: WorkerSpec, page: MetricsPage) -> bool:
    """Whether a death is not the consequence of another one."""
    return death.status != 0 and not _left(spec, page)


def overdue(specs: Mapping[int, WorkerSpec], page: MetricsPage, pids: Mapping[int, int], since: int) -> Trouble | None:
    """The first worker over the `timeout` or `start_timeout` of its stage.

    An async stage enforces its own timeout, unless a call blocks the event loop or goes on after it was cancelled.
    since: nanoseconds of the monotonic clock; time before does not count, as all processes may have been suspended.
    """
    now = monotonic_ns()
    for identity, spec in specs.items():
        for position, slot in enumerate(spec.slots):
            words = page.slot(slot).words
            limit = _limit(spec, position, words[STATE], words[RECORD])
            began = max(words[SINCE], since)
            if limit is not None and now - began > limit * 1e9:
                how = f"its time limit of {limit - _grace(spec, position, words[STATE]):g} s"
                return trouble_in_slots(spec, page, pids.get(identity, 0), how, overdue=True)
    return None


def heavy(specs: Mapping[int, WorkerSpec], page: MetricsPage, pids: Mapping[int, int]) -> Trouble | None:
    """The first worker over the `max_memory` of its stage."""
    for identity, spec in specs.items():
        if spec.max_memory is None or identity not in pids:
            continue
        held = resident(pids[identity])
        if held is not None and held > spec.max_memory:
            how = f"its max_memory of {spec.max_memory / 2**20:.0f} MiB ({held / 2**20:.0f} MiB held)"
            return trouble_in_slots(spec, page, pids[identity], how, overdue=True)
    return None


def _limit(spec: WorkerSpec, position: int, state: int, record: int) -> float | None:
    if state in (STARTING, SETTING_UP):
        return spec.start_timeout
    if not spec.works:
        return None
    if spec.works[position].form.awaited:
        within = spec.works[position].timeout if state == WORKING and record else None
        return None if within is None else within + _grace(spec, position, state)
    timed = state in (DECODING, ENCODING, FLUSHING, SNAPSHOT, READING, WRITING) or (state == WORKING and record)
    return spec.works[position].timeout if timed else None


def _grace(spec: WorkerSpec, position: int, state: int) -> float:
    """Seconds beyond the limit for a call that has been cancelled."""
    return LINGERING if state == WORKING and spec.works and spec.works[position].form.awaited else 0.0


def _left(spec: WorkerSpec, page: MetricsPage) -> bool:
    return any(page.slot(slot).words[LEFT] for slot in spec.slots)


def _index(spec: WorkerSpec) -> int:
    return spec.works[0].index if spec.works else 0
