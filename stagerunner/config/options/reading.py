"""The mapping under `with:` → checked options: unknown and missing keys here, each value by `fitting`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stagerunner.config.nodes import Mapping, Node, Scalar
from stagerunner.config.options.fields import Option
from stagerunner.config.options.fitting import Fitting
from stagerunner.config.options.wording import did_you_mean, listed, shortened
from stagerunner.errors import Mark, Mistake

RUNNER_SETTINGS = frozenset(
    (
        "name",
        "workers",
        "batch",
        "concurrency",
        "retry",
        "timeout",
        "rate",
        "start_timeout",
        "on_error",
        "max_errors",
        "env",
        "max_memory",
        "resources",
    )
)
"""The keys that stand beside `use:`, never under `with:`."""


def read_options(
    options: Sequence[Option],
    node: Mapping | None,
    *,
    mark: Mark,
    path: str,
    base: Callable[[Mark], Path],
) -> tuple[dict[str, Any], list[Mistake]]:
    """The options that were written, converted to their types, and everything wrong with them.

    mark: the part, where a missing option stands if there is no `with`. path: where the mapping stands in the config
    ("stages[1].with"). base: the folder that a path written at a mark stands against.
    Options left out are left out of the result: their defaults are the part's own affair.
    """
    known = {option.name: option for option in options}
    fitting = Fitting(base)
    values: dict[str, Any] = {}
    for key, value in node.entries if node else ():
        option = known.get(key.text)
        if option is None:
            fitting.mistakes.append(_unknown(key, f"{path}.{key.text}", known, len(fitting.mistakes)))
        elif not _left_out(option, value):
            values[key.text] = fitting.fit(value, option.hint, f"{path}.{key.text}")
    written = {key for key, _ in node} if node else set()
    place = node.mark if node and node.entries else mark
    missing = [option for option in options if option.required and option.name not in written]
    return values, fitting.mistakes + [_missing(option, place, path) for option in missing]


def _left_out(option: Option, value: Node) -> bool:
    """A null where the default is None says nothing new, whatever the hint."""
    return (
        isinstance(value, Scalar)
        and value.value is None
        and not value.quoted
        and option.default is None
        and not option.required
    )


def _unknown(key: Scalar, path: str, known: dict[str, Option], after: int) -> Mistake:
    name = shortened(key.text)
    if key.text in RUNNER_SETTINGS:
        fix = f"`{name}` is a setting: it stands beside `use:`, not under `with:`"
        return Mistake("misplaced-setting", f"there is no option '{name}'", key.mark, path, fix)
    fix = did_you_mean(key.text, known, after=after) or (
        f"the options are {listed(known)}" if known else "it takes no options"
    )
    return Mistake("unknown-option", f"there is no option '{name}'", key.mark, path, fix)


def _missing(option: Option, place: Mark, path: str) -> Mistake:
    fix = f"add `{option.name}:` ({option.describe()})"
    return Mistake("missing-option", f"the option '{option.name}' is required", place, f"{path}.{option.name}", fix)
