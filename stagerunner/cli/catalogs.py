"""The catalog without a chain, for the commands that list plugins and parts."""

from __future__ import annotations

from collections.abc import Sequence

from stagerunner.catalog import Catalog
from stagerunner.cli.streams import Streams
from stagerunner.errors import ConfigError
from stagerunner.plan.preparing import catalog_with


def usable_catalog(plugins: Sequence[str]) -> Catalog:
    """The installed plugins and those of `-p`. Raises ConfigError if one of the latter can't be loaded."""
    catalog = catalog_with(plugins)
    if catalog.mistakes:
        raise ConfigError(catalog.mistakes)
    return catalog


def warn(catalog: Catalog, streams: Streams) -> None:
    """Print what is wrong with installed plugins, and which names more than one plugin offers."""
    for provider, text in catalog.problems:
        streams.err().line(("warn", f"warning: {provider}: "), text)
    for (kind, name), entries in catalog.conflicts.items():
        rivals = " and ".join(entry.provider for entry in entries)
        streams.err().line(("warn", "warning: "), f"the {kind} '{name}' is offered by {rivals}")
