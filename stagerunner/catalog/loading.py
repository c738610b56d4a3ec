"""Loads plugins from entry points, the config's `plugins:`, `-p` and Python, into a Catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pluggy

from stagerunner import hookspecs
from stagerunner.catalog.addresses import is_file
from stagerunner.catalog.catalog import Catalog
from stagerunner.catalog.freshness import forget_changed
from stagerunner.catalog.importing import attribute, existing_file, import_file, import_named
from stagerunner.catalog.installed import Installed, installed_plugins, is_named, provider_of
from stagerunner.catalog.model import Entry, Problem, Provider, Unresolved
from stagerunner.catalog.offers import STARTED, STOPPING, Offers, Spec, as_plugin, offers_of, single_part
from stagerunner.errors import Mark, Mistake
from stagerunner.guard import is_ctrl_c, one_line
from stagerunner.hookspecs import CommandSpec, EngineSpec, ViewSpec
from stagerunner.parts import files
from stagerunner.parts.base import Kind
from stagerunner.parts.hooks import PROJECT

PluginRef: TypeAlias = tuple[Any, Mark | None, Path]
"""A plugin (a package, `./file.py`, `pkg.module`; in Python also the module, function or class itself), its mark
in the config (None: `-p` or Python), and the folder that a path is relative to."""


def load_catalog(*, plugins: Sequence[PluginRef] = (), blocked: Sequence[str] = (), installed: bool = True) -> Catalog:
    """Import the plugins (again, if they changed on disk) and list what they offer.

    plugins: those of the config and of `-p`; one that can't be loaded is a mistake of the catalog. blocked: names of
    plugins that are not imported. installed: load the installed plugins too; one that can't be loaded is a problem.
    """
    forget_changed()
    loading = _Loading(blocked)
    if installed:
        for point in loading.points:
            loading.load_point(point)
    for index, (ref, mark, base) in enumerate(plugins):
        if not isinstance(ref, str):
            loading.load_object(ref)
            continue
        loading.load_named(ref, mark or Mark("-p", 1, 1, ref, len(ref)), base, f"plugins[{index}]" if mark else "")
    return loading.catalog()


class _Loading:
    def __init__(self, blocked: Sequence[str]) -> None:
        self._blocked = blocked
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._entries: dict[tuple[Kind, str], list[Entry]] = {}
        self._specs: list[tuple[Spec, str]] = []
        self._providers: list[Provider] = []
        self._worker_hooks: list[tuple[str, str]] = []
        self._problems: dict[str, tuple[str, list[str]]] = {}
        self._mistakes: list[Mistake] = []
        found = installed_plugins()
        self.points = [point for point in found if not is_named(point, blocked)]
        self._blocked_points = [point for point in found if is_named(point, blocked)]

    def load_point(self, point: Installed) -> list[str]:
        return self._load(point.value, provider_of(point), lambda: _load_point(point))

    def load_object(self, found: Any) -> None:
        """Load a module, or a decorated function or class. Anything wrong with it is a mistake."""
        module = isinstance(found, ModuleType)
        name = found.__name__ if module else f"{getattr(found, '__qualname__', type(found).__name__)} {id(found):x}"
        label = name.partition(" ")[0]
        texts = self._load(name, label, lambda: found if module else single_part(found))
        self._mistakes += (Mistake("plugin", text, Mark(label, column=0)) for text in texts)

    def load_named(self, ref: str, mark: Mark, base: Path, path: str) -> None:
        """Load a plugin that the config or `-p` names. Anything wrong with it is a mistake."""
        if ref in self._blocked or any(is_named(point, [ref]) for point in self._blocked_points):
            return
        try:
            texts = self._load_ref(ref, base)
        except Unresolved as why:
            texts = [f"{why}{_fix(why)}"]
            self._problems[ref] = (ref, texts)
        self._mistakes += (Mistake("plugin", text, mark, path) for text in texts)

    def _load_ref(self, ref: str, base: Path) -> list[str]:
        if is_file(ref):
            file = existing_file(base, ref)
            return self._load(files.module_name(file), ref, lambda: import_file(file))
        points = [point for point in self.points if is_named(point, [ref])]
        if points:
            return [text for point in points for text in self.load_point(point)]
        return self._load(ref, ref, lambda: import_named(ref))

    def _load(self, name: str, provider: str, load: Callable[[], Any]) -> list[str]:
        """Load a plugin unless that was done; return what is wrong with it."""
        if name not in self._problems:
            texts: list[str] = []
            self._problems[name] = (provider, texts)
            try:
                texts.extend(self._register(name, provider, as_plugin(load())))
            except (Unresolved, pluggy.PluginValidationError) as why:
                texts.append(" ".join(f"{why}".split()) + _fix(why))
            except BaseException as error:
                if is_ctrl_c(error):
                    raise
                texts.append(f"it could not be registered: {one_line(error)}")
        return self._problems[name][1]

    def _register(self, name: str, provider: str, plugin: Any) -> list[str]:
        if self._manager.is_registered(plugin):
            return []
        self._manager.register(plugin, name)
        offers = offers_of(self._manager, plugin)
        self._add(offers, provider)
        self._providers.append(Provider(name, provider, tuple(offers.hooks)))
        return offers.problems

    def _add(self, offers: Offers, provider: str) -> None:
        for part in offers.parts:
            rivals = self._entries.setdefault((part.kind, part.name), [])
            # The same object offered twice is one part.
            if all(rival.part.target != part.target for rival in rivals):
                rivals.append(Entry(part, provider))
        self._specs += ((spec, provider) for spec in offers.specs)
        self._worker_hooks += offers.worker_hooks

    def catalog(self) -> Catalog:
        # In a dict the last one wins; of two specs with one name the first must win.
        first = [spec for spec, _ in reversed(self._specs)]
        problems = [Problem(provider, text) for provider, texts in self._problems.values() for text in texts]
        return Catalog(
            manager=self._manager,
            entries={key: tuple(entries) for key, entries in self._entries.items()},
            engines={spec.name: spec for spec in first if isinstance(spec, EngineSpec)},
            commands={spec.name: spec for spec in first if isinstance(spec, CommandSpec)},
            views={spec.name: spec for spec in first if isinstance(spec, ViewSpec)},
            providers=tuple(self._providers),
            problems=(*problems, *_spec_conflicts(self._specs)),
            mistakes=tuple(self._mistakes),
            started_hooks=tuple(target for hook, target in self._worker_hooks if hook == STARTED),
            stopping_hooks=tuple(target for hook, target in self._worker_hooks if hook == STOPPING),
        )


def _load_point(point: Installed) -> Any:
    module = import_named(point.module)
    return attribute(module, point.attr) if point.attr else module


def _fix(why: Exception) -> str:
    return f"; {why.fix}" if isinstance(why, Unresolved) and why.fix else ""


def _spec_conflicts(specs: Sequence[tuple[Spec, str]]) -> Iterable[Problem]:
    first: dict[tuple[type, str], tuple[Spec, str]] = {}
    for spec, provider in specs:
        kept, by = first.setdefault((type(spec), spec.name), (spec, provider))
        if kept.target != spec.target:
            kind = type(spec).__name__.removesuffix("Spec").lower()
            yield Problem(provider, f"the {kind} '{spec.name}' is offered by {by} too")
