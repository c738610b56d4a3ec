"""The memos of a run, looked at in the parent before a worker starts: what can't be used is said once, here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from stagerunner.events import Notice
from stagerunner.plan import Plan


def usable(plan: Plan, tell: Callable[[Any], None]) -> Plan:
    """The plan without the memos that can't be used. The files of the others exist from now on."""
    paths = {stage.work.memo.path for stage in plan.stages if stage.work.memo is not None}
    if not paths:
        return plan
    from stagerunner.memo.store import Unusable, prepare  # late: few chains have a memo

    refused = set()
    for path in sorted(paths):
        try:
            prepare(path)
        except Unusable as why:
            refused.add(path)
            tell(Notice(f"continuing without the memo {path}: {why}"))
    kept = [
        replace(stage, work=stage.work._replace(memo=None))
        if stage.work.memo is not None and stage.work.memo.path in refused
        else stage
        for stage in plan.stages
    ]
    return replace(plan, stages=tuple(kept))
