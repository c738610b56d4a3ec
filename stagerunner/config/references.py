"""How a variable is written, and what the environment holds for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Environment

from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence
from stagerunner.config.options.wording import did_you_mean, shortened
from stagerunner.config.scalars import resolve
from stagerunner.tuples import NamedTuple

FORMS = "write ${vars.NAME}, ${env:NAME} or ${secret:NAME}, each with :-default; $$ is a dollar"
PIECE = re.compile(r"\$\$|\$\{[^}]*\}?")
"""What is filled in in a text: a doubled dollar, or what wants to be a variable."""

_REFERENCE = r"\$\{(?:(vars)\.([^}:]+)|(env|secret):([A-Za-z_][A-Za-z0-9_]*))(?::-([^}]*))?\}"
"""Compiled when there is a variable."""


class NotFilled(Exception):
    """A variable can't be filled in. Without a code: that was reported at another place."""

    def __init__(self, code: str = "", message: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix


class Reference(NamedTuple):
    """`${kind.name:-default}`; kind is vars, env or secret."""

    kind: str
    name: str
    default: str | None

    @property
    def secret(self) -> bool:
        return self.kind == "secret"

    @property
    def masked(self) -> bool:
        return self.kind != "vars"

    def scalar(self, text: str, place: Scalar) -> Scalar:
        """A text it stands for."""
        return Scalar(text, text, place.mark, secret=self.secret, masked=self.masked)

    def unset(self, declared: Environment[str, Node], after: int) -> NotFilled:
        """The complaint that there is nothing to fill in; `after` so many mistakes."""
        name = shortened(self.name)
        if self.masked:
            message = f"the environment variable {name} is not set"
            return NotFilled("unset-variable", message, f"set it, or write ${{{self.kind}:{name}:-default}}")
        if self.name in declared:
            return NotFilled("unset-variable", f"vars.{name} has no value", f"give it one: --var {name}=VALUE")
        fix = (
            did_you_mean(self.name, declared, after=after)
            or f"add it under `vars:`, or write ${{vars.{name}:-default}}"
        )
        return NotFilled("unset-variable", f"there is no variable '{name}'", fix)


def reference(text: str) -> Reference | None:
    """The variable that `text` is, and nothing else."""
    found = re.fullmatch(_REFERENCE, text)
    if found is None:
        return None
    vars_, name, kind, env_name, default = found.groups()
    return Reference(vars_ or kind, name or env_name, default)


def typed(text: str) -> bool | int | float | str:
    """What YAML makes of a text that stands alone; never null, for a text that came from somewhere is one."""
    try:
        value = resolve(text)
    except ValueError:
        return text
    return text if value is None else value


def measured(node: Node) -> tuple[int, int]:
    """How many levels of lists and mappings there are in it, and how many nodes."""
    if isinstance(node, Scalar):
        return 0, 1
    inner = [measured(one) for one in _inside(node)]
    return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(count for _, count in inner)


def _inside(node: Sequence | Mapping) -> Iterator[Node]:
    if isinstance(node, Sequence):
        return iter(node.items)
    return (value for _, value in node.entries)
