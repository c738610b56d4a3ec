"""The two ends of the chain: a source or sink resolved, checked, and found within reach."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.catalog import Catalog, Resolved
from stagerunner.catalog.addresses import is_address
from stagerunner.config.model import Config, PartConfig, Settings
from stagerunner.config.nodes import Mapping, Scalar
from stagerunner.config.wording import did_you_mean
from stagerunner.errors import Mistake
from stagerunner.guard import is_ctrl_c, one_line, reason
from stagerunner.parts.sink import check_sink
from stagerunner.parts.source import is_stream
from stagerunner.plan.model import PlannedPart
from stagerunner.plan.targets import COMPRESSED, address, foreign, unoffered
from stagerunner.plan.values import checked_options, filled, mark_of, shown

EndKind = Literal["source", "sink"]

STANDARD = {"source": "-", "sink": "stdout"}
"""What stands for an end that the file leaves out."""

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


# Which part it is


def spelt_out(config: Config, catalog: Catalog, kind: EndKind) -> PartConfig | Mistake:
    """The source or sink of the config with its part's name under `use`, and a bare path under `with`."""
    part = (config.source if kind == "source" else config.sink) or _standard(config, kind)
    text = part.use.text
    if not part.bare or part.use.given is not None or is_address(text) or _is_name(catalog, kind, text):
        return part
    if kind == "sink" and text == "-":
        return _using(part, "stdout", None)
    takers = [entry.part.name for entry in catalog.taking(kind, _suffix(text))]
    if len(takers) > 1:
        message = f"'{text}' could be {' or '.join(takers)}"
        return Mistake("ambiguous", message, part.use.mark, part.path, f"write {{use: …, with: {{path: {text}}}}}")
    if (why := unoffered(text, kind)) is not None and (not takers or foreign(text) is not None):
        return Mistake("target", why[0], part.use.mark, part.path, why[1])
    path = Scalar("path", "path", part.use.mark)
    return _using(part, takers[0] if takers else "lines", Mapping(((path, part.use),), part.use.mark))


def _standard(config: Config, kind: EndKind) -> PartConfig:
    text, mark = STANDARD[kind], config.root.mark
    return PartConfig(Scalar(text, text, mark), kind, None, Settings(), {}, mark, kind, bare=True)


def _is_name(catalog: Catalog, kind: EndKind, text: str) -> bool:
    return not set(text) & set("/.*?[") and text in catalog.names(kind)


def _using(part: PartConfig, name: str, options: Mapping | None) -> PartConfig:
    return replace(part, use=Scalar(name, name, part.use.mark), options=options)


def _suffix(text: str) -> str:
    path = PurePath(text.lower())
    return PurePath(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
