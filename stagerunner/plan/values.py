"""The options of a part: read by its type hints, checked that they can be sent to workers, and as they may be shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from stagerunner.config.masking import Mask
from stagerunner.config.model import Config, PartConfig, Settings
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence
from stagerunner.config.options import options_of, read_options
from stagerunner.config.variables import for_worker
from stagerunner.errors import Mark, Mistake
from stagerunner.parts.base import Kind

MASK = "***"
_SENDABLE = (str, bytes, bool, int, float, type(None), PurePath)
"""Types that can always be sent to a worker."""


def checked_options(config: Config, kind: Kind, part: PartConfig, found: Any) -> tuple[dict[str, Any], list[Mistake]]:
    """The options as the part's function or class takes them, and everything wrong with them."""
    try:
        options = options_of(found, kind)
    except TypeError as why:
        return {}, [
            Mistake("options", f"the options of '{part.use.text}' are unclear: {why}", part.use.mark, part.path)
        ]
    path = f"{part.path}.with"
    values, mistakes = read_options(options, part.options, mark=part.mark, path=path, base=config.base_of)
    return values, [*mistakes, *_unsendable(values, part, path)]


def _unsendable(values: dict[str, Any], part: PartConfig, path: str) -> Iterator[Mistake]:
    doubtful = {name: value for name, value in values.items() if not isinstance(value, _SENDABLE)}
    if doubtful:
        import pickle  # most chains have plain options only
    for name, value in doubtful.items():
        try:
            pickle.dumps(value, protocol=5)
        except Exception as error:
            message = f"{name} can't be sent to a worker: {type(error).__name__}: {error}"
            yield Mistake("option", message, mark_of(part, name), f"{path}.{name}")


def environment_of(settings: Settings) -> dict[str, str]:
    """What the setting `env` adds to the environment of the stage's first worker."""
    return {name: for_worker(text, 0) for name, text in settings.env}


def mark_of(part: PartConfig, option: str) -> Mark:
    """The mark of an option; if it isn't written, that of the part."""
    node = part.options.get(option) if part.options else None
    return part.use.mark if node is None else node.mark


def shown(part: PartConfig, config: Config) -> dict[str, Any]:
    """The options as they may be shown: variables as written, secrets as `***`."""
    found = {} if part.options is None else {key: _shown(node) for key, node in part.options}
    masked: dict[str, Any] = Mask(config.secrets).data(found)
    return masked


def _shown(node: Node) -> Any:
    match node:
        case Scalar(written=str()):
            return node.written
        case Scalar():
            return MASK if node.secret or node.masked else node.value
        case Sequence():
            return [_shown(item) for item in node.items]
        case Mapping():
            return {key: _shown(value) for key, value in node}


def filled(part: PartConfig) -> dict[str, tuple[str, bool]]:
    """The values of variables in the options: path → (text, whether it must stay hidden)."""
    return {} if part.options is None else dict(_filled(part.options, ""))


def _filled(node: Node, path: str) -> Iterator[tuple[str, tuple[str, bool]]]:
    match node:
        case Scalar(written=str()):
            yield path, (node.text, node.secret or node.masked)
        case Sequence():
            for number, item in enumerate(node.items):
                yield from _filled(item, f"{path}.{number}" if path else str(number))
        case Mapping():
            for key, value in node:
                yield from _filled(value, f"{path}.{key}" if path else key)
