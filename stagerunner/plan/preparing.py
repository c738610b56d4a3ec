"""From a config and a request to a plan. Nothing is started. Every command on a config begins here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from stagerunner.catalog import Catalog, PluginRef, load_catalog
from stagerunner.config.masking import Mask
from stagerunner.config.model import Config
from stagerunner.config.read import Source, read_config
from stagerunner.inherited import here
from stagerunner.plan.making import make_plan
from stagerunner.plan.model import Plan
from stagerunner.plan.shards import shard_of, sharded

EXCLUDE = "no:"
"""The prefix of a plugin that is not to be loaded."""


class Request(Struct, frozen=True):
    """What a call asks for beyond the config. Empty and None: as the config says."""

    vars: Mapping[str, Any] | Sequence[str] = field(default_factory=dict)
    sets: Sequence[str] | Mapping[str, Any] = ()
    plugins: Sequence[Any] = ()
    source: str | None = None
    sink: str | None = None
    limit: int | None = None
    shard: str | None = None
    engine: str | None = None
    only: str | None = None
    resume: bool = False
    force_resume: bool = False
    journal: str | None = None
    allow_dead_letters: bool = False


AS_WRITTEN = Request()


class Prepared(Struct, frozen=True):
    """A config, the catalog of its plugins, and the plan made of both."""

    config: Config
    catalog: Catalog
    plan: Plan


OnSecrets = Callable[[tuple[str, ...]], None]
"""Called with the secrets before any plugin is imported, because a plugin may print them."""


def prepare(file: Source, request: Request = AS_WRITTEN, on_secrets: OnSecrets | None = None) -> Prepared:
    """Read, check and plan. Raises ConfigError with every mistake, UsageError for an impossible call."""
    config, catalog = read(file, request, on_secrets)
    with Mask(config.secrets).errors():
        resumed = request.resume or request.force_resume
        plan = make_plan(
            config, catalog, limit=request.limit, engine=request.engine, only=request.only, resumed=resumed
        )
        if request.shard is not None:
            plan = sharded(plan, shard_of(request.shard))
    return Prepared(config, catalog, plan)


def read(file: Source, request: Request, on_secrets: OnSecrets | None = None) -> tuple[Config, Catalog]:
    """The config, with the overrides of the call, and the catalog. Each has its mistakes; nothing is raised."""
    config = read_config(
        file, vars=request.vars, sets=request.sets, source_override=request.source, sink_override=request.sink
    )
    if on_secrets is not None:
        on_secrets(config.secrets)
    plugins: list[PluginRef] = [(scalar.text, scalar.mark, config.base_of(scalar.mark)) for scalar in config.plugins]
    return config, catalog_with(request.plugins, plugins)


def catalog_with(wanted: Sequence[Any], plugins: Sequence[PluginRef] = ()) -> Catalog:
    """The catalog of the installed plugins, these `plugins`, and those that a call asks for.

    wanted: as `-p` has them, relative to the current folder; `no:NAME` keeps one out. Python may give objects.
    """
    folder = here()
    blocked = [ref.removeprefix(EXCLUDE) for ref in wanted if isinstance(ref, str) and ref.startswith(EXCLUDE)]
    loaded = [ref for ref in wanted if not isinstance(ref, str) or not ref.startswith(EXCLUDE)]
    return load_catalog(plugins=[*plugins, *((ref, None, folder) for ref in loaded)], blocked=blocked)
