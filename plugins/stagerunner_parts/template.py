"""Texts with fields of the record in them: `{name}`, `{user.name}`, `{record}` for the whole record, `{{` for a brace.

Nothing is evaluated: a template can only say which field stands where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from stagerunner import Reject, TextOption
from stagerunner_parts.values import field

WHOLE = "record"

_PIECE = re.compile(r"""\{\{|\}\}|\{([^{}"'\n:]+)\}|[{}]""")
_BRACES = {"{{": "{", "}}": "}"}


class Piece(NamedTuple):
    """A part of a template: text as it is, or a field."""

    text: str
    is_field: bool


class Template(TextOption):
    """A text with fields in it.

    alone: the field, if it is one field and nothing else; then its value keeps its type. is_plain: it has no field.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.pieces = tuple(_joined(_pieces(text)))
        only = self.pieces[0] if len(self.pieces) == 1 else None
        self.alone = only.text if only and only.is_field else None
        self.is_plain = not any(piece.is_field for piece in self.pieces)

    def __call__(self, record: Any) -> str:
        """The text for a record. Raises Reject if it lacks a field, or if one can't stand in a text."""
        return "".join(as_text(value_of(record, piece.text)) if piece.is_field else piece.text for piece in self.pieces)

    def value(self, record: Any) -> Any:
        """The value of a field that stands alone, else the text."""
        return self(record) if self.alone is None else value_of(record, self.alone)

    def url(self, record: Any) -> str:
        """The text as part of a URL: fields are percent-encoded, so that they change nothing of its structure.

        A field with which the template begins is a URL, or the beginning of one, and stays as it is.
        """
        return "".join(
            _in_url(record, piece.text, whole=not number) if piece.is_field else piece.text
            for number, piece in enumerate(self.pieces)
        )


def _pieces(text: str) -> Iterator[Piece]:
    end = 0
    for found in _PIECE.finditer(text):
        yield Piece(text[end : found.start()], False)
        end = found.end()
        if found[1] is not None:
            yield Piece(found[1].strip(), True)
        elif found[0] in _BRACES:
            yield Piece(_BRACES[found[0]], False)
        else:
            near = text[found.start() : found.start() + 20]
            raise ValueError(f"a brace that encloses no field's name must be doubled, {found[0] * 2}: {near!r}")
    yield Piece(text[end:], False)


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces without empty ones, neighbouring texts joined."""
    text = ""
    for piece in pieces:
        if not piece.is_field:
            text += piece.text
            continue
        if text:
            yield Piece(text, False)
        text = ""
        yield piece
    if text:
        yield Piece(text, False)


def value_of(record: Any, name: str) -> Any:
    """The field of a record, or the whole record. Raises Reject if it lacks the field."""
    if name == WHOLE and not (isinstance(record, Mapping) and WHOLE in record):
        return record
    return field(record, name)


def as_text(value: Any) -> str:
    """A value within a text: null is empty, lists and mappings are JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        raise Reject("bytes can't stand in a text; decode them in a stage before this one")
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, bool | list | dict) else str(value)


def _in_url(record: Any, name: str, *, whole: bool) -> str:
    value = value_of(record, name)
    if value is None or value == "":
        raise Reject(f"the field {name!r}, which stands in the URL, is empty")
    return as_text(value) if whole else quote(as_text(value), safe="")


class Filling:
    """Any data with templates as its texts: `Filling.of(data)(record)` gives it filled in. Keys are no templates."""

    def __init__(self, data: Any) -> None:
        self._data = data

    @classmethod
    def of(cls, data: Any) -> Self:
        """Raises ValueError for a text that is no template."""
        return cls(_compiled(data))

    def __call__(self, record: Any) -> Any:
        """The data for a record; a text that is one field alone becomes its value. Raises Reject as Template does."""
        return _filled(self._data, record)


def _compiled(data: Any) -> Any:
    if isinstance(data, str):
        return Template(data)
    if isinstance(data, list):
        return [_compiled(item) for item in data]
    return {key: _compiled(item) for key, item in data.items()} if isinstance(data, dict) else data


def _filled(data: Any, record: Any) -> Any:
    if isinstance(data, Template):
        return data.value(record)
    if isinstance(data, list):
        return [_filled(item, record) for item in data]
    return {key: _filled(item, record) for key, item in data.items()} if isinstance(data, dict) else data
