"""A dead letter as a line of a file; docs/dead-letters.md describes its fields. Format 1.

The head of a line (`version`, `output`, `number`) says which output it belongs to. It is always written the same way,
so that a run finds its own lines in a shared file without reading the rest of each line.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from stagerunner.evaluate.wording import text_of, type_of

VERSION = 1
HEAD = ("version", "output", "number")
LONGEST_TEXT = 1000
"""Characters of the text that replaces a value which JSON can't hold."""

STAYS = "StaysDead"
"""The Malformed type of a letter whose record can't come back."""

_BEGINNING = f'{{"version":{VERSION},"output":'.encode()
_TEXT_SAYS_ALL = frozenset(("datetime", "decimal", "fractions", "pathlib", "pathlib._local", "uuid"))
"""Modules whose types hold nothing that their `str` doesn't show."""


def head(output: str, number: int | str = "") -> bytes:
    """How the lines of an output begin; with `number`, how this line begins."""
    return _BEGINNING + json.dumps(output).encode() + b',"number":' + str(number).encode()


def as_line(output: str, number: int, letter: dict[str, Any]) -> bytes:
    """A letter as one line, whatever its record is."""
    return head(output, number) + b"," + _body(letter)[1:] + b"\n"


def owner_of(line: bytes, heads: Iterable[tuple[bytes, str]]) -> tuple[str, int] | None:
    """The output and number of a line, if it belongs to one of these outputs. heads: (head, output) of each."""
    if not line.startswith(_BEGINNING):
        return _owner_in(line, {output for _, output in heads})
    for beginning, output in heads:
        if line.startswith(beginning):
            number = line[len(beginning) :].partition(b",")[0]
            return (output, int(number)) if number.isdigit() else None
    return None


def _owner_in(line: bytes, outputs: set[str]) -> tuple[str, int] | None:
    """`owner_of` for a line that another program has rewritten."""
    letter = read_letter(line)
    if letter is None or letter.get("output") not in outputs or type(letter.get("number")) is not int:
        return None
    return letter["output"], letter["number"]


def begins_letter(line: bytes) -> bool:
    """Whether it is a line as `as_line` writes it, or the beginning of one."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)


def read_letter(line: bytes) -> dict[str, Any] | None:
    """The letter in a line; None if it isn't one of this format."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if type(found) is dict and found.get("version") == VERSION and "stage" in found else None


def _body(letter: dict[str, Any]) -> bytes:
    try:
        return _json(letter)
    except Exception:  # nested too deeply, a number too long to be written
        text = text_of(letter.get("record"), LONGEST_TEXT)
        return _json({key: value for key, value in letter.items() if key not in ("record", "altered")} | {"text": text})


def _json(data: Any) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can hold it as an escape
        return json.dumps(data, allow_nan=False, separators=(",", ":")).encode()


def output_of(line: bytes) -> str:
    """The output that a line belongs to; '' if it doesn't say."""
    letter = read_letter(line) or {}
    output = letter.get("output")
    return output if isinstance(output, str) else ""


# The record


def record_fields(record: Any) -> dict[str, Any]:
    """The fields that hold the record: `record` if JSON gives back exactly what the stage got.

    Else `record` as near as JSON comes, with `altered`: its first value that differs. `text` alone if JSON can't
    hold it at all.
    """
    try:
        if _exact(record):
            return {"record": record}
        changes: list[str] = []
        return {"record": _near(record, "record", changes), "altered": changes[0]}
    except BaseException:  # circular, nested too deeply, or raising when it is read
        return {"text": text_of(record, LONGEST_TEXT)}


def _exact(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is float:
        return math.isfinite(value)
    if kind is dict:
        return all(type(key) is str and _exact(item) for key, item in value.items())
    return kind is list and all(map(_exact, value))


def _near(value: Any, at: str, changes: list[str]) -> Any:
    """The value as JSON data. What had to be altered is appended to `changes`."""
    kind = type(value)
    if kind is dict:
        return {_key(key, at, changes): _near(item, f"{at}[{key!r}]", changes) for key, item in value.items()}
    if kind is list:
        return [_near(item, f"{at}[{index}]", changes) for index, item in enumerate(value)]
    if _exact(value):
        return value
    changes.append(f"{at} is {value!r}" if kind is float else f"{at} is of type {type_of(value)}")
    if kind in (tuple, set, frozenset):
        return [_near(item, f"{at}[…]", changes) for item in value]
    if kind in (bytes, bytearray):
        return b64encode(value).decode()
    return _as_text(value)


def _as_text(value: Any) -> Any:
    module = type(value).__module__
    if module == "datetime" and hasattr(value, "isoformat"):
        return value.isoformat()
    if module in _TEXT_SAYS_ALL:
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    return text_of(value, LONGEST_TEXT)


def _key(key: Any, at: str, changes: list[str]) -> str:
    if type(key) is str:
        return key
    changes.append(f"{at} has a key of type {type_of(key)}")
    return text_of(key, LONGEST_TEXT)
