"""The two ends of the chain: a source or sink resolved, checked, and found within reach."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from stagerunner.catalog import Catalog, Resolved
from stagerunner.config.model import Config, PartConfig
from stagerunner.config.nodes import Scalar
from stagerunner.config.wording import did_you_mean
from stagerunner.errors import Mistake
from stagerunner.guard import is_ctrl_c, one_line, reason
from stagerunner.parts.sink import check_sink
from stagerunner.parts.source import is_stream
from stagerunner.plan.model import PlannedPart
from stagerunner.plan.spelling import EndKind, spelt_out
from stagerunner.plan.targets import address, foreign
from stagerunner.plan.values import checked_options, filled, mark_of, shown

_FIT: dict[str, Callable[[Any], object]] = {"source": is_stream, "sink": check_sink}
"""What raises TypeError for a function or class that can't be such an end."""

_REFUSED = {"source": address, "sink": foreign}
"""What says why a path is none of that end; a source may well read a ZIP archive as the bytes it is."""


class End(Struct, frozen=True):
    """A planned source or sink as it was written, and an instance of its class (None for a stream)."""

    written: PartConfig
    planned: PlannedPart
    instance: Any = None


def plan_end(config: Config, catalog: Catalog, kind: EndKind, *, resumed: bool = False) -> End | list[Mistake]:
    """The config's source or sink, resolved, checked and found within reach; or everything wrong with it.

    resumed: what is there already may be the run's own.
    """
    part = spelt_out(config, catalog, kind)
    if isinstance(part, Mistake):
        return [part]
    resolved = _resolved(config, catalog, kind, part)
    if isinstance(resolved, Mistake):
        return [resolved]
    options, mistakes = checked_options(config, kind, part, resolved.found)
    if mistakes:
        return mistakes
    path = _written_path(part)
    if isinstance(options.get("path"), Path) and (why := _REFUSED[kind](path)) is not None:
        return [Mistake("target", why[0], mark_of(part, "path"), f"{part.path}.with", why[1])]
    instance = _within_reach(catalog, kind, part, resolved.found, options, resumed=resumed)
    if isinstance(instance, Mistake):
        return [instance]
    name = part.name or kind
    planned = PlannedPart(
        part.use.text, name, resolved.part, options, part.settings, shown(part), resolved.provider, filled(part)
    )
    return End(part, planned, instance)


def _resolved(config: Config, catalog: Catalog, kind: EndKind, part: PartConfig) -> Resolved | Mistake:
    path = f"{part.path}.use"
    resolved = catalog.resolve(kind, part.use, config.base_of(part.use.mark), path)
    if isinstance(resolved, Mistake):
        return resolved
    try:
        _FIT[kind](resolved.found)
    except TypeError as why:
        return Mistake("form", f"'{part.use.text}' can't be a {kind}: {why}", part.use.mark, path)
    return resolved


def _within_reach(
    catalog: Catalog, kind: EndKind, part: PartConfig, found: Any, options: dict[str, Any], *, resumed: bool
) -> Any | Mistake:
    """An instance that has checked its files; nothing is opened for good."""
    if not inspect.isclass(found):
        return None
    try:
        instance = found(**options)
        getattr(instance, "check", lambda: None)()
        if not resumed:
            getattr(instance, "check_new", lambda: None)()
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        return _out_of_reach(catalog, kind, part, error)
    return instance


def _out_of_reach(catalog: Catalog, kind: EndKind, part: PartConfig, error: BaseException) -> Mistake:
    text = _sentence(error) if isinstance(error, OSError | ValueError) else one_line(error)
    # A bare word that is no file may have been meant as a name.
    word = _written_path(part) if part.bare else ""
    fix = did_you_mean(word, catalog.names(kind)) if word.isidentifier() else ""
    path = part.path if part.bare else f"{part.path}.with"
    return Mistake(f"{kind}-check", text, mark_of(part, "path"), path, fix)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return reason(error)


def _written_path(part: PartConfig) -> str:
    """The path option as it is written, where it is one text; else nothing."""
    node = part.options.get("path") if part.options else None
    return node.text if isinstance(node, Scalar) else ""
