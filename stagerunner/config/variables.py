"""`${vars.x}`, `${env:NAME}`, `${secret:NAME}`, each with `:-default`, and `$$`; in `env` of a stage also `${worker}`.

Variables are filled in after parsing, and only in string values. So their contents can't change keys or structure.
`${worker}` is filled in when a worker starts. Until then, WORKER stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Environment

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.config.nodes import DEEPEST, MOST_NODES, Mapping, Node, Scalar, Sequence
from stagerunner.config.wording import did_you_mean, shortened
from stagerunner.config.yaml12 import resolve
from stagerunner.errors import Mistake
from stagerunner.tuples import NamedTuple

WORKER = "\0worker\0"
"""Stands for `${worker}` in a text with its variables filled in. Nothing else in an environment may hold NUL."""

MOST_CHARACTERS = 2**22
"""Characters that all variables together may fill in."""


class Filled(Struct, frozen=True):
    """The nodes with variables filled in. secrets: what `${secret:…}` read; masked: these and what `${env:…}` read."""

    root: Mapping
    mistakes: tuple[Mistake, ...]
    secrets: tuple[str, ...]
    masked: tuple[str, ...]


def fill(root: Mapping, environment: Environment[str, str]) -> Filled:
    """Fill in the variables everywhere in `root`. Never raises."""
    filler = Filler(root.get("vars"), environment)
    filled = filler.mapping(root, "", 0)
    return Filled(filled, tuple(filler.mistakes), tuple(filler.secrets), tuple(filler.masked))


class Value(Struct, frozen=True):
    """The value of a variable, its own variables filled in, with its depth and its number of nodes."""

    node: Node
    depth: int
    count: int


class Filler:
    """Fills in nodes. Variables may refer to others, so each is filled in when it is first used, and kept.

    Nodes, characters and depth are limited: a few lines of variables could make a config of any size.
    """

    def __init__(self, declared: Node | None, environment: Environment[str, str]) -> None:
        self.mistakes: list[Mistake] = []
        self.secrets: dict[str, None] = {}
        self.masked: dict[str, None] = {}
        self._declared = dict(iter(declared)) if isinstance(declared, Mapping) else {}
        self._environment = environment
        self._values: dict[str, Value | None] = {}
        self._open: list[str] = []
        self._failures = self._nodes = self._characters = 0

    def node(self, node: Node, path: str, depth: int) -> Node:
        """The node, filled in. depth: the lists, mappings and variables around it."""
        match node:
            case Scalar():
                return self._scalar(node, path, depth) if isinstance(node.value, str) and "$" in node.text else node
            case Sequence():
                items = [self.node(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(node.items)]
                return replace(node, items=tuple(items))
            case Mapping():
                return self.mapping(node, path, depth)

    def mapping(self, node: Mapping, path: str, depth: int) -> Mapping:
        """The mapping, filled in; the entries of `vars:` are filled in as variables."""
        if path == "vars" and depth == 1:
            return replace(node, entries=tuple((key, self._variable(key.text, value)) for key, value in node.entries))
        entries = (
            (key, self.node(value, f"{path}.{key.text}" if path else key.text, depth + 1))
            for key, value in node.entries
        )
        return replace(node, entries=tuple(entries))

    def _variable(self, name: str, unfilled: Node) -> Node:
        value = self._value(name, 1)
        return value.node if value else unfilled

    def _scalar(self, node: Scalar, path: str, depth: int) -> Node:
        try:
            if depth > DEEPEST:
                raise NotFilled("too-deep", f"variables lead more than {DEEPEST} levels deep")
            alone = reference(node.text)
            if alone:
                return self._alone(node, alone, depth)
            return self._within(node, depth, in_env=_ENV.match(path) is not None)
        except NotFilled as error:
            self._failures += 1
            if error.code:
                self.mistakes.append(Mistake(error.code, error.message, node.mark, path, error.fix))
            return replace(node, written=node.text)

    def _alone(self, node: Scalar, alone: Reference, depth: int) -> Node:
        """The value of a scalar that is one variable and nothing else: of any type, also a list or mapping."""
        found = self._read(alone, node, depth)
        if not isinstance(found, Scalar):
            return replace(found, mark=node.mark)
        value = typed(found.text) if isinstance(found.value, str) else found.value
        return replace(found, value=value, mark=node.mark, quoted=False, written=node.text)

    def _within(self, node: Scalar, depth: int, *, in_env: bool) -> Scalar:
        """A text with variables in it; it stays text. in_env: it is a value of a stage's `env`."""
        parts: list[Scalar] = []

        def filled(piece: re.Match[str]) -> str:
            if piece[0] == "$$":
                return "$"
            if piece[0] == _WORKER:
                if in_env:
                    return WORKER
                raise NotFilled("variable", f"{_WORKER} is known only in `env` of a stage", _IN_ENV)
            parts.append(self._part(piece[0], node, depth))
            return parts[-1].text

        text = PIECE.sub(filled, node.text)
        secret, masked = any(part.secret for part in parts), any(part.masked for part in parts)
        return replace(node, text=text, value=text, written=node.text, secret=secret, masked=masked)

    def _part(self, written: str, place: Scalar, depth: int) -> Scalar:
        wanted = reference(written)
        if wanted is None:
            raise NotFilled("variable", f"'{shortened(written)}' isn't a variable", FORMS)
        found = self._read(wanted, place, depth)
        if not isinstance(found, Scalar):
            raise NotFilled("type", f"{shortened(written)} isn't a single value, so it can't stand inside a text")
        self._charge(characters=len(found.text))
        return found

    def _read(self, wanted: Reference, place: Scalar, depth: int) -> Node:
        """The value of a variable, or its default if that is empty. Raises NotFilled."""
        found = self._read_environment(wanted, place) if wanted.masked else self._read_vars(wanted.name, depth)
        nothing = found is None or (isinstance(found, Scalar) and found.value is None)
        empty = isinstance(found, Scalar) and not found.text
        if wanted.default is not None and (nothing or empty):
            return wanted.scalar(wanted.default, place)
        if found is None or nothing:
            raise wanted.unset(self._declared, len(self.mistakes))
        return found

    def _read_environment(self, wanted: Reference, place: Scalar) -> Scalar | None:
        text = self._environment.get(wanted.name)
        if text:
            self.masked[text] = None
        if text and wanted.secret:
            self.secrets[text] = None
        return None if text is None else wanted.scalar(text, place)

    def _read_vars(self, name: str, depth: int) -> Node | None:
        if name not in self._declared:
            return None
        value = self._value(name, depth)
        if value is None:
            raise NotFilled
        self._charge(nodes=value.count)
        if depth + value.depth > DEEPEST:
            raise NotFilled("too-deep", f"variables lead more than {DEEPEST} levels deep")
        return value.node

    def _value(self, name: str, depth: int) -> Value | None:
        """A declared variable, filled in; None if that failed, which is then reported already."""
        if name in self._open:
            circle = " → ".join(shortened(one) for one in [*self._open[self._open.index(name) :], name])
            raise NotFilled("variable-cycle", f"variables go in a circle: {circle}", "give one of them a value")
        if name not in self._values:
            failures = self._failures
            self._open.append(name)
            node = self.node(self._declared[name], f"vars.{name}", depth + 1)
            self._open.pop()
            self._values[name] = None if self._failures > failures else Value(node, *measured(node))
        return self._values[name]

    def _charge(self, *, nodes: int = 0, characters: int = 0) -> None:
        """Count what a variable adds. Beyond the limit it raises NotFilled; only the first time it is reported."""
        full = self._nodes > MOST_NODES or self._characters > MOST_CHARACTERS
        self._nodes += nodes
        self._characters += characters
        if full:
            raise NotFilled
        if self._nodes > MOST_NODES or self._characters > MOST_CHARACTERS:
            raise NotFilled("too-large", "variables make this config too large")


# References


FORMS = "write ${vars.NAME}, ${env:NAME} or ${secret:NAME}, each with :-default; $$ is a dollar"
PIECE = re.compile(r"\$\$|\$\{[^}]*\}?")
"""The pieces of a text that are replaced: a doubled dollar, or anything that looks like a variable."""

_WORKER = "${worker}"
_IN_ENV = f"write it there, `env: {{WORKER: '{_WORKER}'}}`, and read the environment in the stage"
_ENV = re.compile(r"stages\[\d+\]\.env\.")
"""The beginning of the path of a value in `env`."""

_REFERENCE = r"\$\{(?:(vars)\.([^}:]+)|(env|secret):([A-Za-z_][A-Za-z0-9_]*))(?::-([^}]*))?\}"
"""A string, compiled when a config has a variable."""


class NotFilled(Exception):
    """A variable can't be filled in. Without a code, that is reported elsewhere."""

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
        """A value of this variable as a scalar."""
        return Scalar(text, text, place.mark, secret=self.secret, masked=self.masked)

    def unset(self, declared: Environment[str, Node], after: int) -> NotFilled:
        """The error that the variable has no value. after: the number of mistakes before it."""
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


def for_worker(text: str, number: int) -> str:
    """A value of `env` as the worker with this number gets it."""
    return text.replace(WORKER, str(number))


def as_written(text: str) -> str:
    """The text with `${worker}` as it was written."""
    return text.replace(WORKER, _WORKER)


def reference(text: str) -> Reference | None:
    """The variable, if `text` is one and nothing else."""
    found = re.fullmatch(_REFERENCE, text)
    if found is None:
        return None
    vars_, name, kind, env_name, default = found.groups()
    return Reference(vars_ or kind, name or env_name, default)


def typed(text: str) -> bool | int | float | str:
    """The value that YAML reads from the text of a variable; never null, since the variable is set."""
    try:
        value = resolve(text)
    except ValueError:
        return text
    return text if value is None else value


def measured(node: Node) -> tuple[int, int]:
    """The depth of lists and mappings in a node, and its number of nodes."""
    if isinstance(node, Scalar):
        return 0, 1
    inner = [measured(one) for one in _inside(node)]
    return 1 + max((depth for depth, _ in inner), default=0), 1 + sum(count for _, count in inner)


def _inside(node: Sequence | Mapping) -> Iterator[Node]:
    if isinstance(node, Sequence):
        return iter(node.items)
    return (value for _, value in node.entries)
