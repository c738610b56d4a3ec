"""What observers are told once all workers have spoken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stagerunner.engines.base import Ready
from stagerunner.engines.topology import Group
from stagerunner.errors import SetupFailed
from stagerunner.events import WorkerReady
from stagerunner.plan import Plan


def announced(ready: Ready, plan: Plan, groups: Sequence[Group], epoch: int) -> Iterator[WorkerReady]:
    """An event for each worker. Raises SetupFailed if one could not be set up."""
    if ready.errors:
        stage, worker, _, text = ready.errors[0]
        name = plan.stages[stage].name if plan.stages else "copy"
        raise SetupFailed(f"{name} could not be set up (worker {worker + 1}): {text}")
    labels = {group.stages[0].work.index if group.stages else 0: group.label for group in groups}
    for stage, worker, pid in ready.pids:
        yield WorkerReady(labels[stage], worker, pid, epoch)
