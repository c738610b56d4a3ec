"""The catalog without a chain, for the commands that list."""

from __future__ import annotations

from collections.abc import Sequence

from stagerunner.catalog import Catalog, load_catalog
from stagerunner.cli.streams import Streams
from stagerunner.errors import ConfigError
from stagerunner.inherited import here
from stagerunner.plan.preparing import OUT


def catalog_with(plugins: Sequence[str]) -> Catalog:
    """What is installed and what `-p` asks for. Raises ConfigError where the latter can't be loaded."""
    folder = here()
    wanted = [(ref, None, folder) for ref in plugins if not ref.startswith(OUT)]
    blocked = [ref.removeprefix(OUT) for ref in plugins if ref.startswith(OUT)]
    catalog = load_catalog(plugins=wanted, blocked=blocked)
    if catalog.mistakes:
        raise ConfigError(catalog.mistakes)
    return catalog


def warn(catalog: Catalog, streams: Streams) -> None:
    """Say what is wrong with plugins that nobody asked for by name."""
    for provider, text in catalog.problems:
        streams.err().line(("warn", f"warning: {provider}: "), text)
    for (kind, name), entries in catalog.conflicts.items():
        rivals = " and ".join(entry.provider for entry in entries)
        streams.err().line(("warn", "warning: "), f"the {kind} '{name}' is offered by {rivals}")
