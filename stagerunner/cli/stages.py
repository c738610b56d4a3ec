"""`stagerunner stages`: list the stages, sources and sinks, or explain one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import click

from stagerunner.catalog import Catalog, Resolved
from stagerunner.cli import flags
from stagerunner.cli.catalogs import usable_catalog, warn
from stagerunner.cli.flags import Command, Group
from stagerunner.cli.streams import Streams
from stagerunner.config.excerpt import visible
from stagerunner.config.nodes import Scalar
from stagerunner.config.wording import did_you_mean
from stagerunner.errors import Mark, Mistake, UsageError
from stagerunner.inherited import here
from stagerunner.parts.base import Kind
from stagerunner.views.explained import Explained, explain
from stagerunner.views.table import GAP, Column, table

INDENT = 2
"""Spaces before a line of a list."""
NARROWEST = 30
"""Characters in which a text can be read."""

_KINDS: tuple[Kind, ...] = ("stage", "source", "sink")


@click.group(cls=Group, invoke_without_command=True, subcommand_metavar="[show NAME]")
@flags.as_json
@flags.plugins
@flags.output_flags
@click.pass_context
def command(ctx: click.Context, json: bool, plugins: tuple[str, ...]) -> None:
    """List stages, sources and sinks, or explain one of them."""
    if ctx.invoked_subcommand is None:
        with ctx.obj.data_only():
            _list(ctx.obj, plugins, json=json)


def _list(streams: Streams, plugins: tuple[str, ...], *, json: bool) -> None:
    catalog = usable_catalog(plugins)
    out = streams.out()
    if json:
        out.line(out.json(_data(catalog)))
        return
    for kind in _KINDS:
        out.line(("strong", f"{kind.capitalize()}s"))
        for row in _rows(catalog, kind, out.width):
            out.line(f"  {row}")
    warn(catalog, streams)


def _names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Shell completion: the names of all installed parts."""
    return sorted({name for _, name in usable_catalog(()).entries if name.startswith(incomplete)})


@command.command(cls=Command, short_help="explain one of them")
@click.argument("name", shell_complete=_names)
@flags.as_json
@flags.plugins
@flags.output_flags
@click.pass_context
def show(ctx: click.Context, name: str, json: bool, plugins: tuple[str, ...]) -> None:
    """Explain the stage, source or sink NAME; it may be ./file.py:name."""
    streams: Streams = ctx.obj
    above = ctx.parent.params if ctx.parent else {}
    catalog = usable_catalog((*above.get("plugins", ()), *plugins))
    found = [explain(kind, name, resolved) for kind, resolved in _resolved(catalog, name)]
    out = streams.out()
    if json or above.get("json"):
        out.line(out.json({"format": 1, "parts": [one.data() for one in found]}))
        return
    for number, one in enumerate(found):
        if number:
            out.line()
        _print(one, streams)


def _rows(catalog: Catalog, kind: Kind, width: int | None) -> list[str]:
    """A line for each part. In a narrow terminal, who provides it is left out first."""
    entries = (catalog.entries[kind, name][0] for name in catalog.names(kind))
    cells = [[one.part.name, one.part.summary, " ".join(one.part.suffixes), one.provider] for one in entries]
    columns = [Column("", left=True, drops=drops, optional=True) for drops in (0, 0, 1, 2)]  # stages have no suffixes
    return table(columns, cells, None if width is None else width - INDENT)[1:]


def _data(catalog: Catalog) -> dict[str, Any]:
    listed = {
        f"{kind}s": [
            {
                "name": entry.part.name,
                "summary": entry.part.summary,
                "from": entry.provider,
                "target": entry.part.target,
                "suffixes": list(entry.part.suffixes),
            }
            for name in catalog.names(kind)
            for entry in catalog.entries[kind, name]
        ]
        for kind in _KINDS
    }
    return {"format": 1, **listed, "problems": [problem._asdict() for problem in catalog.problems]}


def _resolved(catalog: Catalog, name: str) -> list[tuple[Kind, Resolved]]:
    """The parts of this name. Raises UsageError if there is none, or if it can't be imported."""
    kinds: tuple[Kind, ...] = tuple(kind for kind in _KINDS if (kind, name) in catalog.entries)
    if not kinds and ":" not in name:
        fix = (
            did_you_mean(name, [known for _, known in catalog.entries])
            or "`stagerunner stages` lists them, with -p FILE those of a plugin file too"
        )
        raise UsageError(f"no stage, source or sink is called '{name}'; {fix}")
    use = Scalar(name, name, Mark("NAME", 1, 1, name, len(name)))
    outcomes = [(kind, catalog.resolve(kind, use, here())) for kind in kinds or _KINDS]
    found = [(kind, one) for kind, one in outcomes if isinstance(one, Resolved)]
    # An undecorated function at an address fits every kind; a stage is most likely meant.
    return (found if kinds else found[:1]) or _refuse(outcomes[0][1])


def _refuse(outcome: Resolved | Mistake) -> list[tuple[Kind, Resolved]]:
    message = f"{outcome.message}; {outcome.fix}".removesuffix("; ") if isinstance(outcome, Mistake) else ""
    raise UsageError(message)


def _print(one: Explained, streams: Streams) -> None:
    out = streams.out()
    out.line(("strong", one.name), f"   {one.summary}".rstrip(), ("dim", f"   {one.kind}, from {one.provider}"))
    out.line(f"  {'; '.join(one.form)}")
    out.line()
    if one.options:
        for row in _option_rows(one, out.width):
            out.line(f"  {row}")
        out.line()
    for line in one.example():
        out.line(f"    {line}")
    out.line()
    out.line(("dim", f"  code  {one.place}"))


def _option_rows(one: Explained, width: int | None) -> Iterator[str]:
    """The options. In a terminal, what one does is broken into lines in its column, if that is wide enough."""
    rows = [[o.name, o.takes, o.wants, o.help] for o in one.options]
    heads = table([Column("", left=True)] * 3, [row[:3] for row in rows])[1:]
    start = max(map(len, heads)) + len(GAP)
    room = 0 if width is None else width - INDENT - start
    for head, (*_, text) in zip(heads, rows, strict=True):
        first, *more = textwrap.wrap(visible(text), room) if room >= NARROWEST and text else [visible(text)]
        yield f"{head.ljust(start)}{first}".rstrip()
        yield from (" " * start + line for line in more)
