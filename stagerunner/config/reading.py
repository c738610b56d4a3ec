"""Nodes → plain values of the grammar: one reader for each type, and tables of them for mappings.

A reader raises Wrong; a table catches it, keeps the mistake, and goes on with the next key.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Table
from typing import Any, TypeAlias

from msgspec import Struct

from stagerunner.config.nodes import Mapping, Node, Scalar
from stagerunner.config.options.quantities import NotAQuantity, rate, seconds, size
from stagerunner.config.options.wording import called, did_you_mean, hidden, listed, shortened
from stagerunner.errors import Mark, Mistake


class Wrong(Exception):
    """A value isn't what its key wants. `message` follows the key: "must be …"."""

    def __init__(self, message: str, fix: str = "", code: str = "type") -> None:
        super().__init__(message)
        self.message, self.fix, self.code = message, fix, code


Reader: TypeAlias = "Callable[[Node, Place], Any]"


class Place(Struct, frozen=True):
    """Where in the config a value is read, and where its mistakes go."""

    path: str
    mistakes: list[Mistake]

    def inside(self, key: str) -> Place:
        return Place(f"{self.path}.{key}" if self.path else key, self.mistakes)

    def at(self, index: int) -> Place:
        return Place(f"{self.path}[{index}]", self.mistakes)

    @property
    def label(self) -> str:
        """Its last part: "workers"."""
        return shortened(self.path.rpartition(".")[2])

    def add(self, code: str, message: str, mark: Mark, fix: str = "") -> None:
        self.mistakes.append(Mistake(code, message, mark, self.path, fix))

    def read(self, node: Node, reader: Reader) -> Any:
        """What the reader makes of the node; None, and a mistake, where it is wrong."""
        try:
            return reader(node, self)
        except Wrong as wrong:
            self.add(wrong.code, f"{self.label} {wrong.message}", node.mark, wrong.fix)
            return None


def read_table(node: Node, readers: Table[str, Reader], place: Place, fix: str = "") -> dict[str, Any]:
    """The values of a mapping by its table of readers; what is unknown or wrong is left out, and a mistake.

    fix: what to do about an unknown key that is near to no known one.
    """
    if not isinstance(node, Mapping):
        raise Wrong(f"must be a mapping, not {called(node)}", f"it takes {listed(readers)}")
    unknown = [key for key, _ in node.entries if key.text not in readers]
    for key in unknown:
        near = did_you_mean(key.text, readers, after=len(place.mistakes)) or fix or f"it takes {listed(readers)}"
        place.inside(key.text).add("unknown-key", f"unknown key '{shortened(key.text)}'", key.mark, near)
    read = ((key, place.inside(key).read(value, readers[key])) for key, value in node if key in readers)
    return {key: value for key, value in read if value is not None}


def is_null(node: Node) -> bool:
    """Whether nothing stands there."""
    return isinstance(node, Scalar) and node.value is None and not node.quoted


def unset(reader: Reader) -> Reader:
    """The reader of a value that may be null, which is the same as leaving it out."""
    return lambda node, place: None if is_null(node) else reader(node, place)


def text(node: Node, place: Place) -> str:
    """Any single value, as written."""
    return text_node(node, place).text


def text_node(node: Node, place: Place) -> Scalar:
    """The same with its place."""
    if not isinstance(node, Scalar) or is_null(node):
        raise Wrong(f"must be text, not {called(node)}")
    return node


def path_node(node: Node, place: Place) -> Scalar:
    """A text that can name a file, a part or a module."""
    found = text_node(node, place)
    if not found.text.strip() or "\0" in found.text:
        raise Wrong("must name something, and that is empty" if not found.text.strip() else "holds a NUL character")
    return found


def whole(least: int = 1) -> Reader:
    """A whole number from `least` on."""

    def read(node: Node, place: Place) -> int:
        if not isinstance(node, Scalar) or type(node.value) is not int:
            quoted = isinstance(node, Scalar) and node.quoted and node.text.isdecimal() and not hidden(node)
            fix = f"write {shortened(node.text)}, without quotes" if quoted and isinstance(node, Scalar) else ""
            raise Wrong(f"must be a whole number, not {called(node)}", fix)
        if not least <= node.value < 2**63:
            raise Wrong(f"must be at least {least}" if node.value < least else "is too large a number")
        return node.value

    return read


def number(least: float) -> Reader:
    """A number from `least` on."""

    def read(node: Node, place: Place) -> float:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(f"must be a number, not {called(node)}")
        if not least <= value < 1e15:
            raise Wrong(f"must be a number from {least:g} on")
        return float(value)

    return read


def quantity(read: Callable[[str], Any], kind: str) -> Reader:
    """A duration, size or rate, by its reader in `quantities`."""

    def reader(node: Node, place: Place) -> Any:
        written = node.text if isinstance(node, Scalar) and not is_null(node) else ""
        try:
            return read(written)
        except NotAQuantity as error:
            raise Wrong(f"must be {kind}, not {called(node)}", error.fix) from None

    return reader


def above_zero(reader: Reader, fix: str) -> Reader:
    """A quantity of which none at all makes no sense."""

    def read(node: Node, place: Place) -> Any:
        value = reader(node, place)
        if not value > 0:
            raise Wrong("must be more than 0", fix)
        return value

    return read


def refused(message: str, fix: str) -> Reader:
    """A key that is kept for later: what has no effect is a mistake, until it has one."""

    def read(node: Node, place: Place) -> Any:
        raise Wrong(message, fix, "no-effect")

    return read


def choice(*choices: str) -> Reader:
    """One of a few words."""

    def read(node: Node, place: Place) -> str:
        if not isinstance(node, Scalar) or node.text not in choices:
            near = did_you_mean(node.text, choices) if isinstance(node, Scalar) and not hidden(node) else ""
            raise Wrong(f"must be {' or '.join(choices)}, not {called(node)}", near)
        return node.text

    return read


def mapping(node: Node, place: Place) -> Mapping:
    """A mapping, whatever is in it."""
    if not isinstance(node, Mapping):
        raise Wrong(f"must be a mapping, not {called(node)}")
    return node


duration = quantity(seconds, "a duration")
bytes_size = quantity(size, "a size")
calls = quantity(rate, "a rate")
