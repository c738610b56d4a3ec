"""datatrove's steps: found by name, checked, made, and called for one document or a list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from stagerunner import Drop, count
from stagerunner_datatrove import declared

if TYPE_CHECKING:
    from datatrove.data import Document

Call: TypeAlias = "Callable[[Document], None]"
"""Changes the document, or raises Drop."""

PACKAGES = ("datatrove.pipeline.filters", "datatrove.pipeline.formatters", "datatrove.pipeline.extractors")
"""Where a name without a colon is looked for."""

WRITER = "exclusion_writer"

REMEMBERED = 512
"""Texts whose words are remembered: more than a frame holds."""

SHORT = 8192
"""Characters of a text that is remembered among so many; longer ones fill the memory, and their frames hold few."""


def found(target: str) -> Any:
    """The object that "module:name" names. Raises ValueError if there is none."""
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as why:
        raise ValueError(f"module {module!r} can't be imported: {why}") from None
    except AttributeError:
        raise ValueError(f"module {module!r} has no {name!r}") from None


def step_class(name: str) -> type:
    """The class of a step: "module:Class", or its name alone if it is one of datatrove's.

    Raises ValueError if there is none, or if it is neither filter, formatter nor extractor.
    """
    step = found(name) if ":" in name else _known(name)
    if not inspect.isclass(step) or not issubclass(step, _bases()):
        raise ValueError(f"{name!r} is neither a filter, a formatter nor an extractor of datatrove")
    return step


def _known(name: str) -> Any:
    packages = [import_module(package) for package in PACKAGES]
    for package in packages:
        if hasattr(package, name):
            return getattr(package, name)
    names = [one for package in packages for one, value in vars(package).items() if inspect.isclass(value)]
    raise ValueError(f"datatrove has no step {name!r}; there is {', '.join(sorted(names))}, or write module:Class")


def _bases() -> tuple[type, ...]:
    from datatrove.pipeline.extractors.base import BaseExtractor
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.formatters.base import BaseFormatter

    return BaseFilter, BaseFormatter, BaseExtractor


def check(name: str, options: Mapping[str, Any]) -> None:
    """Raises ValueError if there is no such step, or for options that it doesn't take, or lacks."""
    if WRITER in options or not declared.takes(name, options, PACKAGES):
        check_options(step_class(name), options)
    check_objects(options)


def check_options(step: type, options: Mapping[str, Any]) -> None:
    """Raises ValueError for options that the step doesn't take, or lacks."""
    if WRITER in options:
        raise ValueError(f"`{WRITER}` is not for a stage: `dropped: FILE` in the config writes what is filtered out")
    try:
        inspect.signature(step).bind(**options)
    except TypeError as why:
        takes = [name for name in inspect.signature(step).parameters if name != WRITER]
        raise ValueError(f"{step.__name__}: {why}; it takes {', '.join(takes) or 'no options'}") from None


def check_objects(options: Mapping[str, Any]) -> None:
    """Raises ValueError for objects that aren't there."""
    for value in options.values():
        if _is_object(value):
            found(value["object"])


class Tally:
    """Takes the place of a step's `stat_update`. Sums are kept; means and deviations are not."""

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}

    def add(self, *labels: str, value: int = 1, unit: str | None = None) -> None:
        for label in labels:
            self._sums[label] = self._sums.get(label, 0) + value

    def tell(self) -> None:
        """Make counters of the stage of what came together. Some filters count each line: that would cost a tenth."""
        for label, value in self._sums.items():
            count(label, value)
        self._sums.clear()


def made(step: type, options: Mapping[str, Any]) -> tuple[Any, Tally]:
    """The step itself, and what it counts."""
    _remember_a_frame()
    instance, tally = step(**{name: _value(value) for name, value in options.items()}), Tally()
    instance.stat_update = tally.add
    return instance, tally


def _remember_a_frame() -> None:
    """Let datatrove remember the words of all texts of a frame, not of the last five.

    Its own executor takes each document through all filters. Here a frame passes one filter after another, and each
    filter of a worker would split every text again.
    """
    from datatrove.utils import text

    few: Any = getattr(text, "split_into_parts", None)
    if not hasattr(few, "__wrapped__"):  # another version of datatrove, or done before
        return
    many = lru_cache(REMEMBERED)(few.__wrapped__)

    def split_into_parts(text: str, *args: Any, **named: Any) -> Any:
        return (many if len(text) <= SHORT else few)(text, *args, **named)

    text.split_into_parts = split_into_parts


def _is_object(value: Any) -> bool:
    """{object: "module:name"}, and `with` if it is to be called: an option that isn't plain data."""
    return isinstance(value, Mapping) and "object" in value and value.keys() <= {"object", "with"}


def _value(value: Any) -> Any:
    if not _is_object(value):
        return value
    target = found(value["object"])
    return target(**(value["with"] or {})) if "with" in value else target


# One document


def call_of(step: Any) -> Call:
    """How this step is applied to one document."""
    filters, formatters, _ = _bases()
    if issubclass(type(step), filters):
        return lambda document: _keep(step, step.filter(document))
    if issubclass(type(step), formatters):
        return lambda document: _format(step, document)
    return lambda document: _extract(step, document)


def kept(outcome: Any) -> tuple[bool, str]:
    """What a filter says of a document: whether it is kept, and the reason if not."""
    keeps, reason = outcome if isinstance(outcome, tuple) else (outcome, None)
    return bool(keeps), str(reason or "")


def _keep(step: Any, outcome: Any) -> None:
    keeps, reason = kept(outcome)
    if not keeps:
        raise Drop(reason or type(step).__name__)


def _format(step: Any, document: Document) -> None:
    document.text = step.format(document.text)


def _extract(step: Any, document: Document) -> None:
    """Here and not in a process of its own: the worker is one, and the setting `timeout` kills it."""
    document.text = step.extract(document.text)
    if not document.text:
        raise Drop("nothing extracted")
