"""YAML 1.2 → nodes, each with its mark.

pyyaml only parses; its events are composed here. So no Python object is ever constructed from a tag, sizes are counted
as events arrive, and anchors, tags and duplicate keys, which pyyaml accepts silently, are mistakes with a mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml

from stagerunner.config.hints import explain
from stagerunner.config.nodes import DEEPEST, MOST_NODES, Mapping, Node, Scalar, Sequence
from stagerunner.config.text import ConfigText, Unreadable, decode
from stagerunner.config.wording import shortened
from stagerunner.errors import Mark, Mistake

Event: TypeAlias = Any
"""One of pyyaml's events: which attributes it has depends on its class."""
Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SURROGATE = "[\ud800-\udfff]"


def read_yaml(data: bytes | str, file: str, *, lead: str = "", whole: str = "") -> tuple[Node | None, list[Mistake]]:
    """The root node of a text (None: it can't be read) and everything wrong with it as YAML. Never raises.

    file: its name in marks. lead, whole: as ConfigText takes them.
    """
    try:
        text = decode(data, file, lead, whole)
    except Unreadable as unreadable:
        return None, [unreadable.mistake]
    composer = Composer(text)
    try:
        return composer.document(), composer.mistakes
    except Unreadable as unreadable:
        return None, [*composer.mistakes, unreadable.mistake]


class Composer:
    """Composes the events of one text into nodes; `mistakes` are those that didn't stop it."""

    def __init__(self, text: ConfigText) -> None:
        self.text = text
        self.mistakes: list[Mistake] = []
        self._events = self._checked(yaml.parse(text.text, Loader=Loader))
        self._count = 0

    def document(self) -> Node:
        """The only document in the text. Raises Unreadable."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise Unreadable(self._second_document(event))
                root = self._node(next(self._events), 1)
        if root is None:
            raise Unreadable(Mistake("empty", "there is nothing in it", Mark(self.text.file)))
        return root

    def _checked(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events; an error of pyyaml becomes a mistake in plain words."""
        try:
            yield from events
        except yaml.MarkedYAMLError as error:
            raise Unreadable(explain(error, self.text)) from None
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
            message = f"this can't be read as YAML: {error}".splitlines()[0]
            raise Unreadable(Mistake("yaml", message, Mark(self.text.file))) from None

    def _node(self, event: Event, depth: int) -> Node:
        self._count += 1
        mark = self.text.span(event.start_mark, event.end_mark)
        if self._count > MOST_NODES:
            raise Unreadable(Mistake("too-large", f"a config has at most {MOST_NODES:,} values", mark))
        if depth > DEEPEST:
            raise Unreadable(Mistake("too-deep", f"a config is at most {DEEPEST} levels deep", mark))
        if isinstance(event, yaml.AliasEvent):
            self._add("alias", "aliases are not allowed", mark, "write the value out, or use `vars:`")
            return Scalar("", None, mark)
        self._reject_extras(event, mark)
        match event:
            case yaml.SequenceStartEvent():
                return self._sequence(event, mark, depth)
            case yaml.MappingStartEvent():
                return self._mapping(event, mark, depth)
        return self._scalar(event, mark)

    def _reject_extras(self, event: Event, mark: Mark) -> None:
        if event.anchor:
            self._add(
                "anchor",
                f"anchors are not allowed: &{shortened(event.anchor)}",
                mark,
                "use `vars:` for a value that is used twice",
            )
        if event.tag:
            self._add(
                "tag", f"tags are not allowed: {shortened(event.tag)}", mark, "remove it; the option's type decides"
            )

    def _scalar(self, event: Event, mark: Mark) -> Scalar:
        text, quoted = event.value, bool(event.style)
        if not text.isascii() and re.search(_SURROGATE, text):
            self._add("encoding", "half a surrogate pair isn't a character", mark)
            text = re.sub(_SURROGATE, "\ufffd", text)
        try:
            return Scalar(text, text if quoted else resolve(text), mark, quoted)
        except ValueError as error:
            self._add("number", str(error), mark, "quote it if it is text")
            return Scalar(text, text, mark, quoted)

    def _sequence(self, start: Event, mark: Mark, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(tuple(items), self._whole(start, event, mark))

    def _mapping(self, start: Event, mark: Mark, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, value = self._node(event, depth + 1), self._node(next(self._events), depth + 1)
            if not self._is_key(key):
                continue
            assert isinstance(key, Scalar)
            if first := entries.get(key.text):
                self._duplicate(key, first[0])
            else:
                entries[key.text] = key, value
        return Mapping(tuple(entries.values()), self._whole(start, event, mark))

    def _is_key(self, key: Node) -> bool:
        if not isinstance(key, Scalar) or (not key.quoted and isinstance(key.value, bool | None)):
            self._add("key", "a key must be text", key.mark, "quote it")
        elif key.text == "<<" and not key.quoted:
            self._add("merge", "merge keys are not allowed", key.mark, "write the entries out, or use `vars:`")
        else:
            return True
        return False

    def _second_document(self, start: Event) -> Mistake:
        mark = self.text.span(start.start_mark, start.end_mark)
        return Mistake("documents", "a second document begins here", mark, fix="remove the `---`")

    def _duplicate(self, key: Scalar, first: Scalar) -> None:
        related = ((first.mark, "first one here"),)
        message = f"key '{shortened(key.text)}' given twice"
        self.mistakes.append(Mistake("duplicate-key", message, key.mark, fix="second one here", related=related))

    def _whole(self, start: Event, end: Event, mark: Mark) -> Mark:
        """The mark of a list or mapping: all of it if it stands in brackets, else its beginning."""
        return self.text.span(start.start_mark, end.end_mark) if start.flow_style else mark._replace(width=1)

    def _add(self, code: str, message: str, mark: Mark, fix: str = "") -> None:
        self.mistakes.append(Mistake(code, message, mark, fix=fix))


# Plain scalars


_WORDS = {
    text: value
    for value, texts in {
        None: ("", "~", "null", "Null", "NULL"),
        True: ("true", "True", "TRUE"),
        False: ("false", "False", "FALSE"),
    }.items()
    for text in texts
}
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_NUMBER_START = frozenset("-+.0123456789")
_BASES = {"0o": 8, "0x": 16}
MOST_DIGITS = 1000
"""Python itself refuses to read or show a whole number of more than 4300 digits."""


def resolve(text: str) -> bool | int | float | str | None:
    """A plain scalar in the core schema of YAML 1.2: None, bool, int, float or, for everything else, the text itself.

    Raises ValueError for a whole number of more than MOST_DIGITS digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if _WHOLE.fullmatch(text):
        return _whole(text)
    if re.fullmatch(_NUMBER, text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits is too long")
    base = _BASES.get(text[:2], 10)
    return int(text if base == 10 else text[2:], base)
