"""The source and the sink: which part it is, its options, and whether its files can be reached."""

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
from stagerunner.config.nodes import Mapping, Node, Scalar
from stagerunner.config.wording import did_you_mean
from stagerunner.errors import Mistake
from stagerunner.guard import is_away, is_ctrl_c, one_line, reason
from stagerunner.parts.sink import check_sink
from stagerunner.parts.source import is_stream
from stagerunner.plan.model import PlannedPart
from stagerunner.plan.targets import COMPRESSED, file_name, is_elsewhere, why_address, why_foreign, why_not_offered
from stagerunner.plan.values import checked_options, filled, mark_of, shown

EndKind = Literal["source", "sink"]

UNREACHABLE = "unreachable"
"""The code for an end whose server doesn't answer: nothing is wrong with the config."""

DEFAULT = {"source": "-", "sink": "stdout"}
"""The source and sink of a config without them."""

_FORM_CHECKS: dict[str, Callable[[Any], object]] = {"source": is_stream, "sink": check_sink}
"""They raise TypeError for a function or class that can't be a source or sink."""

_PATH_CHECKS = {"source": why_address, "sink": why_foreign}
"""They say why a path can't be used. A source may read a ZIP archive, as bytes."""


class End(Struct, frozen=True):
    """A planned source or sink, how it was written, and an instance of its class (None for a stream)."""

    written: PartConfig
    planned: PlannedPart
    instance: Any = None


def written_ends(config: Config, kind: EndKind) -> tuple[PartConfig, ...]:
    """The source, or the sinks, as the config names them; the default if it names none."""
    written = config.sinks if kind == "sink" else config.sources
    return written or (_default(config, kind),)


def plan_end(
    config: Config, catalog: Catalog, kind: EndKind, written: PartConfig, *, resumed: bool = False
) -> End | list[Mistake]:
    """A source or sink of the config, resolved and checked, or everything wrong with it.

    resumed: an output that exists may be the run's own.
    """
    part = _named_part(catalog, kind, written)
    if isinstance(part, Mistake):
        return [part]
    resolved = _resolved(config, catalog, kind, part)
    if isinstance(resolved, Mistake):
        return [resolved]
    options, mistakes = checked_options(config, kind, part, resolved.found)
    if mistakes:
        return mistakes
    path = _written_path(part)
    if isinstance(options.get("path"), Path) and (why := _PATH_CHECKS[kind](path)) is not None:
        return [Mistake("target", why[0], mark_of(part, "path"), _place(part), why[1])]
    instance = _checked_instance(catalog, kind, part, resolved.found, options, resumed=resumed)
    if isinstance(instance, Mistake):
        return [instance]
    planned = PlannedPart(
        use=part.use.text,
        name=part.name or kind,
        part=resolved.part,
        options=options,
        settings=part.settings,
        shown=shown(part, config),
        provider=resolved.provider,
        filled=filled(part),
    )
    return End(part, planned, instance)


def _resolved(config: Config, catalog: Catalog, kind: EndKind, part: PartConfig) -> Resolved | Mistake:
    path = f"{part.path}.use"
    resolved = catalog.resolve(kind, part.use, config.base_of(part.use.mark), path)
    if isinstance(resolved, Mistake):
        return resolved
    try:
        _FORM_CHECKS[kind](resolved.found)
    except TypeError as why:
        return Mistake("form", f"'{part.use.text}' can't be a {kind}: {why}", part.use.mark, path)
    return resolved


def _checked_instance(
    catalog: Catalog, kind: EndKind, part: PartConfig, found: Any, options: dict[str, Any], *, resumed: bool
) -> Any | Mistake:
    """An instance that has checked its files; nothing stays open."""
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
        return _check_failed(catalog, kind, part, error)
    return instance


def _check_failed(catalog: Catalog, kind: EndKind, part: PartConfig, error: BaseException) -> Mistake:
    text = _sentence(error) if isinstance(error, OSError | ValueError) else one_line(error)
    # A bare word that is no file may be a misspelt name.
    word = _written_path(part) if part.bare else ""
    fix = did_you_mean(word, catalog.names(kind)) if word.isidentifier() else ""
    return Mistake(UNREACHABLE if is_away(error) else f"{kind}-check", text, mark_of(part, "path"), _place(part), fix)


def _place(part: PartConfig) -> str:
    """The path in the config of what is written of its options."""
    return part.path if part.bare else f"{part.path}.with"


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return reason(error)


def _written_path(part: PartConfig) -> str:
    """The `path` option as it is written, if it is one text; else ""."""
    node = part.options.get("path") if part.options else None
    return node.text if isinstance(node, Scalar) else ""


# Which part it is


def _named_part(catalog: Catalog, kind: EndKind, part: PartConfig) -> PartConfig | Mistake:
    """The source or sink with the name of a part under `use`; a bare path goes under `with`.

    A path chooses its part by suffix, else it is `lines`.
    """
    text = part.use.text
    if not part.bare or part.use.given is not None or is_address(text) or _is_name(catalog, kind, text):
        return part
    if kind == "sink" and text == "-":
        return _using(part, "stdout")
    candidates = [entry.part.name for entry in catalog.for_suffix(kind, _suffix(text))]
    if len(candidates) > 1:
        message = f"'{text}' could be {' or '.join(candidates)}"
        return Mistake("ambiguous", message, part.use.mark, part.path, f"write {{use: …, with: {{path: {text}}}}}")
    foreign = not is_elsewhere(text) and why_foreign(text) is not None  # a part may take the address
    if (why := why_not_offered(text, kind)) is not None and (not candidates or foreign):
        return Mistake("target", why[0], part.use.mark, part.path, why[1])
    return _using(part, candidates[0] if candidates else "lines", (Scalar("path", "path", part.use.mark), part.use))


def _default(config: Config, kind: EndKind) -> PartConfig:
    text, mark = DEFAULT[kind], config.root.mark
    return PartConfig(Scalar(text, text, mark), kind, None, Settings(), {}, mark, kind, bare=True)


def _is_name(catalog: Catalog, kind: EndKind, text: str) -> bool:
    return not set(text) & set("/.*?[") and text in catalog.names(kind)


def _using(part: PartConfig, name: str, *options: tuple[Scalar, Node]) -> PartConfig:
    """The bare part as one of this name, with these options before those that `--set` has given it."""
    given = () if part.options is None else part.options.entries
    entries = (*(entry for entry in options if entry[0].text not in (key.text for key, _ in given)), *given)
    return replace(
        part, use=Scalar(name, name, part.use.mark), options=Mapping(entries, part.use.mark) if entries else None
    )


def _suffix(text: str) -> str:
    path = PurePath(file_name(text).lower())
    return PurePath(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
