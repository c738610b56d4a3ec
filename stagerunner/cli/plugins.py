"""`stagerunner plugins`: the plugins, what each adds, and which could not be loaded."""

from __future__ import annotations

from typing import Any

import click

from stagerunner.catalog import Catalog, Provider
from stagerunner.cli import flags
from stagerunner.cli.catalogs import usable_catalog, warn
from stagerunner.cli.flags import Command
from stagerunner.cli.streams import Streams
from stagerunner.parts.base import Kind
from stagerunner.views.figures import plural
from stagerunner.views.table import Column, drawn

_COLUMNS = (Column("plugin", left=True), Column("from", left=True), Column("adds", left=True))
_KINDS: tuple[Kind, ...] = ("stage", "source", "sink")


@click.command(cls=Command)
@flags.as_json
@flags.plugins
@flags.output_flags
@click.pass_obj
def command(streams: Streams, json: bool, plugins: tuple[str, ...]) -> None:
    """List plugins: where they come from and what they add."""
    catalog = usable_catalog(plugins)
    out = streams.out()
    if json:
        out.line(out.json(_data(catalog)))
        return
    for line in drawn(_COLUMNS, [_row(catalog, provider) for provider in catalog.providers]):
        out.line(*line)
    warn(catalog, streams)


def _row(catalog: Catalog, provider: Provider) -> list[str]:
    adds = [plural(len(names), kind) for kind in _KINDS if (names := _names(catalog, provider, kind))]
    hooks = (hook.removeprefix("stagerunner_") for hook in provider.hooks)
    others = sorted(hook for hook in hooks if hook not in ("stages", "sources", "sinks"))
    return [provider.name, provider.provider, ", ".join([*adds, *others])]


def _names(catalog: Catalog, provider: Provider, kind: Kind) -> list[str]:
    offered = ((key, entry) for key, entries in catalog.entries.items() for entry in entries)
    return sorted(name for (of, name), entry in offered if of == kind and entry.provider == provider.provider)


def _data(catalog: Catalog) -> dict[str, Any]:
    return {
        "format": 1,
        "plugins": [
            {
                "name": provider.name,
                "from": provider.provider,
                "hooks": sorted(provider.hooks),
                **{f"{kind}s": _names(catalog, provider, kind) for kind in _KINDS},
            }
            for provider in catalog.providers
        ],
        "problems": [problem._asdict() for problem in catalog.problems],
    }
