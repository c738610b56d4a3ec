"""`--shard i/N`: the plan of one of N runs that together do the work of one.

Each shard is a run of its own, with its own output, dead letters and journal beside those of the whole:

    out/clean.jsonl.gz ─▶ out/clean.shard-2-of-16.jsonl.gz        failed.jsonl ─▶ failed.shard-2-of-16.jsonl
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from stagerunner.errors import UsageError
from stagerunner.plan.model import Plan, PlannedPart, Shard
from stagerunner.plan.promise import source_kind, why_no_resume

MOST = 100_000
"""Shards of a run."""


def shard_of(text: str) -> Shard:
    """What `--shard` says: "2/16". Raises UsageError."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None:
        raise UsageError(f"--shard: '{text}' is not of the form i/N, such as 2/16")
    number, of = int(found[1]), int(found[2])
    if not 1 <= number <= of <= MOST:
        raise UsageError(f"--shard: of {of} shards there is no number {number}; they are counted from 1, to {MOST:,}")
    return Shard(number, of)


def all_shards(of: int) -> list[Shard]:
    return [Shard(number, of) for number in range(1, of + 1)]


def sharded(plan: Plan, shard: Shard) -> Plan:
    """The plan of this shard. Raises UsageError if the chain can't be run in shards."""
    if (why := why_no_shards(plan)) is not None:
        raise UsageError(f"--shard is not possible, because {why}")
    return replace(
        plan,
        sinks=tuple(_beside(sink, shard) for sink in plan.sinks),
        dead_letter=None if plan.dead_letter is None else shard.beside(plan.dead_letter),
        dropped=None if plan.dropped is None else shard.beside(plan.dropped),
        shard=shard,
    )


def why_no_shards(plan: Plan) -> str | None:
    """Why this chain can't be run in shards; None if it can."""
    return next(_reasons(plan), None)


def _reasons(plan: Plan) -> Iterator[str]:
    for stage in plan.stages:
        if stage.work.form.state:
            yield f"'{stage.name}' has state, so it must see every record; run it on the merged output"
    if source_kind(plan.source) != "splits":
        yield why_no_resume(plan) or "the source can't be cut"
    if plan.source is not None and plan.source.parts:
        yield "the source is a list, whose parts are read in order"
    if plan.limit is not None:
        yield "a limit counts the records of the whole run"
    if plan.run.journal != "auto":
        yield "each shard keeps its journal beside its own output, but `run.journal` is set"
    for sink in plan.sinks:
        yield from _not_joined(sink)


def _not_joined(sink: PlannedPart) -> Iterator[str]:
    if not isinstance(sink.options.get("path"), Path):
        yield f"the sink '{sink.name}' writes no file of this machine"
    elif "{" in str(sink.options["path"]):
        yield f"the sink '{sink.name}' writes a file for each value of a field"
    elif not hasattr(sink.part.found, "joined"):
        yield f"the files of the sink '{sink.name}' can't be joined"
    elif sink.options.get("mode") == "append":
        yield f"shards are joined to a new file, but the sink '{sink.name}' appends to one"
    elif (why := getattr(sink.part.found(**sink.options), "why_not_joined", lambda: None)()) is not None:
        yield f"in the sink '{sink.name}' {why}"


def _beside(sink: PlannedPart, shard: Shard) -> PlannedPart:
    return replace(sink, options={**sink.options, "path": shard.beside(sink.options["path"])})
