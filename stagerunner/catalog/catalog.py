"""The catalog: every part by name with its plugin, and how a `use:` becomes a part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pluggy
from msgspec import Struct, field

from stagerunner import events
from stagerunner.catalog import freshness
from stagerunner.catalog.addresses import at_address, from_object, located
from stagerunner.catalog.importing import import_target
from stagerunner.catalog.model import Entry, Located, Problem, Provider, Resolved, Unresolved
from stagerunner.config.nodes import Scalar
from stagerunner.config.wording import did_you_mean
from stagerunner.errors import Mistake
from stagerunner.guard import is_ctrl_c, one_line
from stagerunner.hookspecs import CommandSpec, EngineSpec, ViewSpec
from stagerunner.parts.base import Kind, Part, part_of

_EVENT_HOOKS: dict[type, str] = {
    events.RunStarted: "stagerunner_run_started",
    events.WorkerReady: "stagerunner_worker_ready",
    events.WorkerFailed: "stagerunner_worker_failed",
    events.RecordFailed: "stagerunner_record_failed",
    events.Checkpoint: "stagerunner_checkpoint",
    events.Summary: "stagerunner_run_finished",
}


class Catalog(Struct, frozen=True, eq=False):
    """What all plugins offer.

    entries: the parts under each (kind, name), each with its plugin; more than one is a conflict. problems: what is
    wrong with any plugin. mistakes: what is wrong with those that the config asks for.
    started_hooks, stopping_hooks: "module:function", called in each worker.
    """

    manager: pluggy.PluginManager
    entries: Mapping[tuple[Kind, str], tuple[Entry, ...]] = field(default_factory=dict)
    engines: Mapping[str, EngineSpec] = field(default_factory=dict)
    commands: Mapping[str, CommandSpec] = field(default_factory=dict)
    views: Mapping[str, ViewSpec] = field(default_factory=dict)
    providers: tuple[Provider, ...] = ()
    problems: tuple[Problem, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    started_hooks: tuple[str, ...] = ()
    stopping_hooks: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[tuple[Kind, str], Entry]:
        """Every part by (kind, name); of several with one name, the first."""
        return {key: entries[0] for key, entries in self.entries.items()}

    @property
    def conflicts(self) -> dict[tuple[Kind, str], tuple[Entry, ...]]:
        """The names under which plugins offer different parts."""
        return {key: entries for key, entries in self.entries.items() if len(entries) > 1}

    def names(self, kind: Kind) -> list[str]:
        """The names of all parts of a kind, in order."""
        return sorted(name for offered, name in self.entries if offered == kind)

    def find(self, kind: Kind, name: str) -> Entry | None:
        """The part of this name, or None. Raises Unresolved if two plugins offer one."""
        entries = self.entries.get((kind, name), ())
        if len(entries) > 1:
            message = f"the {kind} '{name}' is offered by {_listed(entries)}"
            raise Unresolved("conflict", message, "keep one out: -p no:NAME")
        return entries[0] if entries else None

    def for_suffix(self, kind: Kind, suffix: str) -> list[Entry]:
        """The sources or sinks for files with this suffix (".jsonl", in lower case)."""
        entries = (entry for (offered, _), entry in self.parts.items() if offered == kind)
        return [entry for entry in entries if suffix in map(str.lower, entry.part.suffixes)]

    def resolve(self, kind: Kind, use: Scalar, base: Path, path: str = "") -> Resolved | Mistake:
        """The part that a `use:` names, imported, or a mistake.

        base: the folder that a file's path is relative to. path: where `use` stands in the config.
        """
        try:
            if use.given is not None:
                return from_object(kind, use.given)
            return at_address(kind, use.text, base) if ":" in use.text else self._named(kind, use.text)
        except Unresolved as why:
            return Mistake(why.code, str(why), use.mark, path, why.fix)

    def locate(self, kind: Kind, use: Scalar, base: Path, path: str = "") -> Located | Mistake:
        """Where the part is that a `use:` names, or a mistake; nothing is imported. base, path: as for `resolve`."""
        try:
            if use.given is not None:
                return Located(from_object(kind, use.given).part.target, use.text)
            if ":" in use.text:
                return located(use.text, base)
            entry = self._entry(kind, use.text)
            return Located(entry.part.target, entry.provider, entry.part)
        except Unresolved as why:
            return Mistake(why.code, str(why), use.mark, path, why.fix)

    def _entry(self, kind: Kind, name: str) -> Entry:
        """The part of this name, which can be imported. Raises Unresolved."""
        entry = self.find(kind, name)
        if entry is None:
            raise self._unknown(kind, name)
        if "<" in entry.part.target:
            message = f"'{name}' of {entry.provider} is a lambda or local: {kind}s need a name that can be imported"
            raise Unresolved("not-importable", message, "define it at the top of a module")
        return entry

    def _named(self, kind: Kind, name: str) -> Resolved:
        entry = self._entry(kind, name)
        part = entry.part
        found = import_target(part.target)
        if part.found is not None and part.found is not found:
            raise self._replaced(entry)
        return Resolved(_completed(part, found), found, entry.provider)

    def _replaced(self, entry: Entry) -> Unresolved:
        """The target of a part leads to another object than the plugin offered."""
        part = entry.part
        if part.target.partition(":")[0] in freshness.replaced:
            message = f"'{part.name}' of {entry.provider} was changed and imported again since this chain was loaded"
            return Unresolved("changed", message, "load the chain again")
        return Unresolved("not-importable", f"'{part.name}' of {entry.provider} is not what '{part.target}' leads to")

    def _unknown(self, kind: Kind, name: str) -> Unresolved:
        if name.endswith(".py"):
            return Unresolved("address", f"'{name}' is a file, not a {kind}", f"say which {kind}: {name}:NAME")
        if "/" in name and kind != "stage":
            return Unresolved("address", f"'{name}' is a path, not the name of a {kind}", "write it under with: path:")
        message = f"no {kind} is called '{name}'"
        others = [other for other in ("source", "stage", "sink") if (other, name) in self.entries]
        if others:
            return Unresolved(f"unknown-{kind}", f"{message}; there is a {others[0]} of that name")
        # The name may belong to a plugin that could not be loaded.
        failed = "; ".join(f"{provider}: {text}" for provider, text in self.problems)
        if failed:
            return Unresolved(f"unknown-{kind}", f"{message} ({failed})")
        near = did_you_mean(name, self.names(kind))
        return Unresolved(f"unknown-{kind}", message, near or "`stagerunner stages` lists what there is")

    def notify(self, event: object) -> tuple[events.Notice, ...]:
        """Call the observers of an event. One that raises becomes a notice; the others are still called."""
        hook = _EVENT_HOOKS.get(type(event))
        if hook is None:
            return ()
        notices = []
        for observer in reversed(getattr(self.manager.hook, hook).get_hookimpls()):
            try:
                observer.function(*(event for _ in observer.argnames))
            except BaseException as error:
                if is_ctrl_c(error):
                    raise
                notices.append(events.Notice(f"{hook} of {observer.plugin_name} failed: {one_line(error)}"))
        return tuple(notices)


def _listed(entries: tuple[Entry, ...]) -> str:
    return " and ".join(f"{entry.provider} ({entry.part.target})" for entry in entries)


def _completed(part: Part, found: object) -> Part:
    """The part with the form that its object declares: a part named by string doesn't know it."""
    decorated = part_of(found)
    if decorated is None:
        return part._replace(found=found)
    return part._replace(
        found=found,
        state=decorated.state,
        batch=decorated.batch,
        many=decorated.many,
        memo=decorated.memo,
        arrow=decorated.arrow,
    )
