"""Nodes → typed values: one reader for each type, for the grammar and for the options of parts alike.

A reader takes a node and its location and raises InvalidValue. `Location.read` makes a mistake of that, so that the
values behind it are read too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Table
from typing import Any, TypeAlias

from msgspec import Struct

from stagerunner.config.nodes import Mapping, Node, Scalar, is_null
from stagerunner.config.other_words import our_word
from stagerunner.config.quantities import NotAQuantity, rate, seconds, size
from stagerunner.config.wording import SURELY, did_you_mean, hidden, in_words, listed, shortened
from stagerunner.errors import Mark, Mistake

MOST_NUMBER = 1e15
"""Numbers from here on are a slip: no delay, price or share is that large."""


class InvalidValue(Exception):
    """A value isn't what its key takes. `message` continues a sentence that begins with the key: "must be …"."""

    def __init__(self, message: str, fix: str = "", code: str = "type") -> None:
        super().__init__(message)
        self.message, self.fix, self.code = message, fix, code

    @classmethod
    def expected(cls, what: str, node: Node, fix: str = "") -> InvalidValue:
        """ "must be text, not a list"."""
        return cls(f"must be {what}, not {in_words(node)}", fix)


Reader: TypeAlias = "Callable[[Node, Location], Any]"


class Location(Struct, frozen=True):
    """Where a value stands in the config ("stages[1].with.fields"), and the list that its mistakes are added to."""

    path: str
    mistakes: list[Mistake]

    def inside(self, key: str) -> Location:
        return Location(f"{self.path}.{key}" if self.path else key, self.mistakes)

    def at(self, index: int) -> Location:
        return Location(f"{self.path}[{index}]", self.mistakes)

    @property
    def label(self) -> str:
        """The last key of the path, with its indices: "fields[1]"."""
        return shortened(self.path.rpartition(".")[2])

    def add(self, code: str, message: str, mark: Mark, fix: str = "") -> None:
        self.mistakes.append(Mistake(code, message, mark, self.path, fix))

    def read(self, node: Node, reader: Reader) -> Any:
        """The node's value as the reader returns it; None, and a mistake, if it is invalid."""
        try:
            return reader(node, self)
        except InvalidValue as invalid:
            self.add(invalid.code, f"{self.label} {invalid.message}", node.mark, invalid.fix)
            return None


# Mappings


def read_table(
    node: Node, readers: Table[str, Reader], location: Location, also: str = "", brief: bool = False
) -> dict[str, Any]:
    """The values of a mapping, each by the reader of its key. Unknown keys and invalid values are mistakes.

    also: where an unknown key may belong instead. brief: don't list the known keys.
    """
    if not isinstance(node, Mapping):
        raise InvalidValue.expected("a mapping", node, f"it takes {listed(readers)}")
    for key in (key for key, _ in node.entries if key.text not in readers):
        takes = "" if brief else f"it takes {listed(readers)}"
        fix = _meant(key.text, readers, len(location.mistakes), also) or "; ".join(filter(None, (takes, also)))
        location.inside(key.text).add("unknown-key", f"unknown key '{shortened(key.text)}'", key.mark, fix)
    read = ((key, location.inside(key).read(value, readers[key])) for key, value in node if key in readers)
    return {key: value for key, value in read if value is not None}


def _meant(key: str, readers: Table[str, Reader], after: int, also: str) -> str:
    """The known key that is meant by an unknown one, as a fix; "" if none is near."""
    if ours := our_word(key, readers):
        return f"here it is `{ours}:`"
    near = did_you_mean(key, readers, after=after)
    if near and also and not did_you_mean(key, readers, after=after, cutoff=SURELY):
        near += f" {also}"
    return near


def mapping(node: Node, location: Location) -> Mapping:
    """A mapping, with anything in it."""
    if not isinstance(node, Mapping):
        raise InvalidValue.expected("a mapping", node, "write {NAME: VALUE, …}")
    return node


# Single values


def text(node: Node, location: Location) -> str:
    """Any single value, as written."""
    return text_node(node, 'write "" for an empty text').text


def text_node(node: Node, fix: str = "") -> Scalar:
    """The scalar of a text. fix: what to write instead of nothing."""
    if not isinstance(node, Scalar):
        raise InvalidValue.expected("text", node)
    if is_null(node):
        raise InvalidValue.expected("text", node, fix)
    return node


def path_node(node: Node, location: Location) -> Scalar:
    """The scalar of a text that can name a file, a part or a module."""
    found = text_node(node)
    if not found.text.strip():
        raise InvalidValue("must name something, but is empty")
    if "\0" in found.text:
        raise InvalidValue("holds a NUL character")
    return found


def integer(node: Node, location: Location) -> int:
    """Any whole number."""
    if not isinstance(node, Scalar) or type(node.value) is not int:
        raise InvalidValue.expected("a whole number", node, _unquote(node, r"[-+]?[0-9]{1,30}"))
    return node.value


def real(node: Node, location: Location) -> float:
    """Any number."""
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue.expected("a number", node, _unquote(node, r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?"))
    try:
        return float(value)
    except OverflowError:
        raise InvalidValue("is too large a number") from None


def boolean(node: Node, location: Location) -> bool:
    """true or false."""
    if isinstance(node, Scalar) and type(node.value) is bool:
        return node.value
    word = node.text.lower() if isinstance(node, Scalar) else ""
    if word in ("yes", "on", "no", "off"):
        fix = f"write {'true' if word in ('yes', 'on') else 'false'}"
    else:
        fix = _unquote(node, "true|false")
    raise InvalidValue.expected("true or false", node, fix)


def choose(node: Node, choices: Table[Any, Any], what: str) -> Any:
    """The value of the choice that is written: its text, or its number, boolean or null. what: the choices in words."""
    if not isinstance(node, Scalar):
        raise InvalidValue.expected(what, node)
    for written, choice in choices.items():
        if node.text == written or (type(node.value) is type(written) and node.value == written):
            return choice
    near = "" if hidden(node) else did_you_mean(node.text, map(str, choices))
    raise InvalidValue.expected(what, node, near)


def _unquote(node: Node, pattern: str) -> str:
    """The fix for a value in quotes that would be right without them."""
    fits = isinstance(node, Scalar) and node.quoted and not hidden(node) and re.fullmatch(pattern, node.text)
    return f"write {node.text}, without quotes" if fits and isinstance(node, Scalar) else ""


# Makers of readers


def unset(reader: Reader) -> Reader:
    """The reader of a value that may be null, which is the same as leaving it out."""
    return lambda node, location: None if is_null(node) else reader(node, location)


def whole(least: int = 1) -> Reader:
    """A whole number from `least` on."""

    def read(node: Node, location: Location) -> int:
        value = integer(node, location)
        if not least <= value < 2**63:
            raise InvalidValue(f"must be at least {least}" if value < least else "is too large a number")
        return value

    return read


def number(least: float) -> Reader:
    """A number from `least` on, below MOST_NUMBER."""

    def read(node: Node, location: Location) -> float:
        value = real(node, location)
        if value >= MOST_NUMBER:
            raise InvalidValue(f"must be less than {MOST_NUMBER:g}")
        if not value >= least:
            raise InvalidValue(f"must be a number from {least:g} on")
        return value

    return read


def quantity(parse: Callable[[str], Any], what: str) -> Reader:
    """A duration, size or rate. parse: its function in `quantities`."""

    def read(node: Node, location: Location) -> Any:
        written = node.text if isinstance(node, Scalar) and not is_null(node) else ""
        try:
            return parse(written)
        except NotAQuantity as error:
            raise InvalidValue.expected(what, node, "" if hidden(node) else error.fix) from None

    return read


def above_zero(reader: Reader, fix: str) -> Reader:
    """A quantity that can't be zero."""

    def read(node: Node, location: Location) -> Any:
        value = reader(node, location)
        if not value > 0:
            raise InvalidValue("must be more than 0", fix)
        return value

    return read


def choice(*choices: str) -> Reader:
    """One of a few words."""
    values = dict(zip(choices, choices, strict=True))
    return lambda node, location: choose(node, values, " or ".join(choices))


def refused(message: str, fix: str) -> Reader:
    """A key reserved for later: it has no effect yet, so it is a mistake."""

    def read(node: Node, location: Location) -> Any:
        raise InvalidValue(message, fix, "no-effect")

    return read


duration = quantity(seconds, "a duration")
bytes_size = quantity(size, "a size")
calls = quantity(rate, "a rate")
