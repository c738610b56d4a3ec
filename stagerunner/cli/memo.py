"""`stagerunner memo show|prune PATH`: what a memo holds, and how to make it smaller."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from time import time

import click

from stagerunner.cli import flags
from stagerunner.cli.flags import Command, Group, flag
from stagerunner.cli.streams import Streams
from stagerunner.config.quantities import NotAQuantity, seconds
from stagerunner.errors import UsageError
from stagerunner.inherited import here
from stagerunner.memo.store import Entries, Store, Unusable, existing, file_size
from stagerunner.views.figures import count, plural, size
from stagerunner.views.table import Column, drawn

_COLUMNS = (
    Column("stage", left=True),
    Column("version", left=True),
    Column("results"),
    Column("size"),
    Column("first", left=True),
    Column("last", left=True),
    Column("present", left=True),
)


@click.group(cls=Group, subcommand_metavar="show|prune PATH")
def command() -> None:
    """Look at the results that a stage's `memo` keeps, or remove some of them."""


@command.command(cls=Command, short_help="list what it holds")
@click.argument("path", type=flags.FILE)
@flags.as_json
@flags.output_flags
@click.pass_obj
def show(streams: Streams, path: str, json: bool) -> None:
    """List what the memo at PATH holds, by stage and version.

    A version is the code, options and environment of a stage. The last run with this stage looked for results of the
    present one; the others are found again only if what the stage was comes back.
    """
    try:
        with closing(_store(path)) as store:
            entries = store.entries()
    except Unusable as why:
        raise _refused(path, why) from None
    out, bytes_used = streams.out(), file_size(str(here() / path))
    if json:
        held = [one._asdict() for one in entries]
        out.line(out.json({"format": 1, "bytes": bytes_used, "results": held}))
        return
    for line in drawn(_COLUMNS, [_row(one) for one in entries]):
        out.line(*line)
    streams.err().line(f"{plural(sum(one.results for one in entries), 'result')}, {size(bytes_used)}")


@command.command(cls=Command, short_help="remove results")
@click.argument("path", type=flags.FILE)
@flag("What to remove", "--older-than", "age", metavar="DURATION", help="Results that are older, as in 30d.")
@flag("What to remove", "--stage", metavar="NAME", help="Results of this stage.")
@flag("What to remove", "--all", "everything", is_flag=True, help="All results.")
@flags.output_flags
@click.pass_obj
def prune(streams: Streams, path: str, age: str | None, stage: str | None, everything: bool) -> None:
    """Remove results from the memo at PATH, and give their space back."""
    if not everything and age is None and stage is None:
        raise UsageError("say what to remove: --older-than 30d, --stage NAME, or --all")
    try:
        before = None if age is None else time() - seconds(age)
    except NotAQuantity as why:
        raise UsageError(f"--older-than: {why}; {why.fix}") from None
    try:
        with closing(_store(path)) as store:
            removed = store.prune(before=before, stage=stage)
    except Unusable as why:
        raise _refused(path, why) from None
    streams.err().line(f"removed {plural(removed, 'result')}; {size(file_size(str(here() / path)))} are left")


def _store(path: str) -> Store:
    return existing(str(here() / Path(path).expanduser()))


def _refused(path: str, why: Unusable) -> UsageError:
    return UsageError(f"{path} can't be used as a memo: {why}")


def _row(one: Entries) -> list[str]:
    first, last = (datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M") for at in (one.first, one.last))
    return [one.stage, one.version[:8], count(one.results), size(one.bytes), first, last, "yes" if one.present else ""]
