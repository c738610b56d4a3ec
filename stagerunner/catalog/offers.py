"""What one plugin offers: its hooks are called right after it is registered, so each part's plugin is known."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

import pluggy
from msgspec import Struct, field

from stagerunner.catalog.model import Unresolved
from stagerunner.config.wording import did_you_mean
from stagerunner.guard import is_ctrl_c, one_line
from stagerunner.hookspecs import CommandSpec, EngineSpec, ViewSpec
from stagerunner.parts import held
from stagerunner.parts.base import Kind, Part, part_of
from stagerunner.parts.hooks import PROJECT, hookimpl

KINDS: dict[str, Kind] = {
    "stagerunner_stages": "stage",
    "stagerunner_sources": "source",
    "stagerunner_sinks": "sink",
}
SPECS: dict[str, type] = {
    "stagerunner_engines": EngineSpec,
    "stagerunner_commands": CommandSpec,
    "stagerunner_views": ViewSpec,
}
STARTED, STOPPING = "stagerunner_worker_started", "stagerunner_worker_stopping"

Spec: TypeAlias = EngineSpec | CommandSpec | ViewSpec


class Offers(Struct):
    """The parts and specs of one plugin, its hooks, and what is wrong with it.

    worker_hooks: (hook, "module:function") for each hook that is called in workers.
    """

    parts: list[Part] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    worker_hooks: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class PartsPlugin:
    """A plugin for parts that come without hooks: those decorated in a module, or a single one."""

    def __init__(self, found: Iterable[Any]) -> None:
        self._found = list(found)

    @hookimpl
    def stagerunner_stages(self) -> list[Any]:
        return self._of("stage")

    @hookimpl
    def stagerunner_sources(self) -> list[Any]:
        return self._of("source")

    @hookimpl
    def stagerunner_sinks(self) -> list[Any]:
        return self._of("sink")

    def _of(self, kind: Kind) -> list[Any]:
        parts = ((found, found if isinstance(found, Part) else part_of(found)) for found in self._found)
        return [found for found, part in parts if part is not None and part.kind == kind]


def as_plugin(found: Any) -> Any:
    """What pluggy registers: a PartsPlugin for a module without hooks, else the object itself."""
    if not isinstance(found, ModuleType):
        return found
    if any(map(_is_hook, vars(found).values())):
        return found
    return PartsPlugin(value for value in vars(found).values() if _is_from(value, found))


def single_part(found: Any) -> PartsPlugin:
    """What pluggy registers for one function or class. Raises Unresolved if it isn't decorated."""
    part = part_of(found)
    if part is None:
        name = getattr(found, "__name__", type(found).__name__)
        raise Unresolved(
            "plugin", f"'{name}' isn't a part: it isn't decorated", "write @stage, @source or @sink above it"
        )
    return PartsPlugin([part._replace(target=held.target_of(found), found=found)])


def offers_of(manager: pluggy.PluginManager, plugin: Any) -> Offers:
    """Call all hooks of a registered plugin. One that raises is a problem; the others are still called."""
    offers = Offers()
    for caller in manager.get_hookcallers(plugin) or ():
        if not caller.has_spec():
            offers.problems.append(_unknown_hook(manager, caller.name))
            continue
        offers.hooks.append(caller.name)
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin:
                _call(offers, caller.name, implementation.function)
    return offers


def _call(offers: Offers, hook: str, function: Any) -> None:
    if hook in KINDS:
        for offered in _answer(offers, hook, function):
            _add_part(offers, hook, offered)
    elif hook in SPECS:
        for offered in _answer(offers, hook, function):
            _add_spec(offers, hook, offered)
    elif hook in (STARTED, STOPPING):
        _add_worker_hook(offers, hook, function)


def _answer(offers: Offers, hook: str, function: Any) -> Iterable[Any]:
    try:
        return list(function())
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        offers.problems.append(f"{hook} failed: {one_line(error)}")
        return ()


def _not_text(*fields: Any) -> str:
    """A complaint about the first field that is not text, or ""."""
    return next((f"{field!r} where text is expected" for field in fields if not isinstance(field, str)), "")


def _invalid_part(part: Part) -> str:
    if not isinstance(part.suffixes, tuple | list):
        return f"{part.suffixes!r} where a tuple of suffixes is expected"
    return _not_text(part.name, part.target, part.summary, *part.suffixes)


def _add_part(offers: Offers, hook: str, offered: Any) -> None:
    kind = KINDS[hook]
    decorated = part_of(offered)
    if isinstance(offered, Part) and (invalid := _invalid_part(offered)):
        offers.problems.append(f"{hook} returned a part with {invalid}")
    elif isinstance(offered, Part):
        offers.parts.append(offered._replace(kind=kind))
    elif decorated is None:
        offers.problems.append(f"{hook} returned a {type(offered).__name__}, neither decorated nor a part(…)")
    elif decorated.kind != kind:
        offers.problems.append(f"{hook} returned '{decorated.name}', which is a {decorated.kind}")
    else:
        offers.parts.append(decorated._replace(found=offered))


def _add_spec(offers: Offers, hook: str, offered: Any) -> None:
    if not isinstance(offered, SPECS[hook]):
        offers.problems.append(f"{hook} returned a {type(offered).__name__} instead of {SPECS[hook].__name__}")
        return
    spec: Any = offered
    if invalid := _not_text(spec.name, spec.target, spec.summary):
        offers.problems.append(f"{hook} returned {SPECS[hook].__name__} with {invalid}")
    else:
        offers.specs.append(spec)


def _add_worker_hook(offers: Offers, hook: str, function: Any) -> None:
    if not getattr(function, "__qualname__", "").isidentifier():
        # Workers import it by name, so it can't be the method of an object.
        offers.problems.append(f"{hook} has to be a function of a module")
    else:
        offers.worker_hooks.append((hook, f"{function.__module__}:{function.__qualname__}"))


def _unknown_hook(manager: pluggy.PluginManager, name: str) -> str:
    fix = did_you_mean(name, _known_hooks(manager))
    return f"there is no hook '{name}'" + (f"; {fix}" if fix else "")


def _known_hooks(manager: pluggy.PluginManager) -> Iterator[str]:
    return (name for name, caller in vars(manager.hook).items() if caller.has_spec())


def _is_hook(value: Any) -> bool:
    return inspect.isroutine(value) and isinstance(getattr(value, f"{PROJECT}_impl", None), dict)


def _is_from(value: Any, module: ModuleType) -> bool:
    return part_of(value) is not None and getattr(value, "__module__", None) == module.__name__
