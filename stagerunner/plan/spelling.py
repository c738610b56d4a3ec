"""Which part a source or sink is: a bare path chooses it by suffix, and none at all means standard input or output."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from msgspec.structs import replace

from stagerunner.catalog import Catalog
from stagerunner.catalog.addresses import is_address
from stagerunner.config.model import Config, PartConfig, Settings
from stagerunner.config.nodes import Mapping, Scalar
from stagerunner.errors import Mistake
from stagerunner.plan.targets import COMPRESSED, foreign, unoffered

EndKind = Literal["source", "sink"]

STANDARD = {"source": "-", "sink": "stdout"}
"""What stands for an end that the file leaves out."""


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
