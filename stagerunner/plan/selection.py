"""`--only a..b`: which stages of the chain are planned."""

from __future__ import annotations

from stagerunner.config.model import PartConfig
from stagerunner.config.options.wording import did_you_mean, listed
from stagerunner.errors import Mark, Mistake


def selected(stages: tuple[PartConfig, ...], only: str | None) -> tuple[PartConfig, ...] | Mistake:
    """The stages from a to b, both included: "a..b", "a..", "..b", or "a" for one alone."""
    if only is None:
        return stages
    first, dots, last = only.partition("..") if ".." in only else (only, "", only)
    names = [stage.name for stage in stages]
    for name, column in ((first, 1), (last, len(first + dots) + 1)):
        if name not in names and (name or not dots):
            mark = Mark("--only", 1, column, only, len(name))
            fix = did_you_mean(name, names) or f"there is {listed(names)}"
            return Mistake("unknown-stage", f"no stage of this chain is named '{name}'", mark, fix=fix)
    start = names.index(first) if first else 0
    stop = names.index(last) if last else len(names) - 1
    if first and last and start > stop:
        mark = Mark("--only", 1, 1, only, len(only))
        return Mistake("only", f"'{first}' comes after '{last}'", mark, fix=f"write {last}..{first}")
    return stages[start : stop + 1]
