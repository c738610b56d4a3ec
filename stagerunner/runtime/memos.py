"""The memos of a run, looked at in the parent before a worker starts: what can't be used is said once, here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from stagerunner.events import Notice
from stagerunner.plan import Plan


def usable(plan: Plan, tell: Callable[[Any], None]) -> Plan:
    """The plan without the memos that can't be used. The files of the others exist from now on."""
    versions = _versions(plan)
    if not versions:
        return plan
    from stagerunner.memo.store import Unusable, prepare  # late: few chains have a memo

    refused = set()
    for path in sorted(versions):
        try:
            prepare(path, versions[path])
        except Unusable as why:
            refused.add(path)
            tell(Notice(f"continuing without the memo {path}: {why}", warning=True))
    kept = [
        replace(stage, work=stage.work._replace(memo=None))
        if stage.work.memo is not None and stage.work.memo.path in refused
        else stage
        for stage in plan.stages
    ]
    return replace(plan, stages=tuple(kept))


def put_away(plan: Plan) -> None:
    """Remove what killed workers have left beside the memos: what is in there goes into the file."""
    for path in _versions(plan):
        if os.path.exists(f"{path}-wal"):  # noqa: PTH110 - a text, as SQLite takes it
            from stagerunner.memo.store import merge  # late, as above

            merge(path)


def _versions(plan: Plan) -> dict[str, dict[str, bytes]]:
    """The files of the memos, with the version of each stage that keeps results there."""
    found: dict[str, dict[str, bytes]] = {}
    for stage in plan.stages:
        if stage.work.memo is not None:
            found.setdefault(stage.work.memo.path, {})[stage.name] = stage.work.memo.version
    return found
