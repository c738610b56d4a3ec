"""How records are written for a program, and what is made of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from stagerunner import Reject
from stagerunner_parts.json_values import json_value

Name = Literal["lines", "jsonl", "text", "bytes"]

SHOWN = 60
"""Bytes of an answer that a message quotes."""


class BadAnswer(Exception):
    """What the program wrote can't be read as the format says."""


class Format(NamedTuple):
    """encode: the bytes for a record; raises Reject if it has none. decode: the records of an answer, given whole.

    by_line: an answer consists of lines, so that one can be told from the next.
    """

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Iterator[Any]]
    by_line: bool = True


def lines_of(data: bytes) -> list[bytes]:
    """The lines without their ends, which are a newline and a carriage return before it."""
    found = data.split(b"\n")
    if not found[-1]:
        found.pop()
    return [line.removesuffix(b"\r") for line in found]


def _encode_text(record: Any) -> bytes:
    """A text with a newline at its end; bytes as they are."""
    if isinstance(record, bytes):
        return record
    if not isinstance(record, str):
        kind = type(record).__name__
        raise Reject(f"this format takes a text, but the record is of type {kind}; `format: jsonl` takes any JSON data")
    try:
        data = record.encode()
    except UnicodeEncodeError as why:
        raise Reject(f"the text can't be written as UTF-8: {why}") from None
    return data if data.endswith(b"\n") else data + b"\n"


def _encode_json(record: Any) -> bytes:
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as why:
        raise Reject(f"the record can't be written as JSON: {why}") from None
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON has an escape for it
        return f"{json.dumps(record, allow_nan=False)}\n".encode()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as why:
        advice = "; `format: bytes` takes any bytes, for a program that is run for each record"
        raise BadAnswer(f"the program's answer is not UTF-8: {why.reason} at byte {why.start}{advice}") from None


def _decode_lines(data: bytes) -> Iterator[str]:
    yield from map(_text, lines_of(data))


def _decode_json(data: bytes) -> Iterator[Any]:
    """The values; null is no record."""
    for line in lines_of(data):
        try:
            found = json_value(line)
        except ValueError as why:
            text = line[:SHOWN].decode(errors="replace") + ("…" if len(line) > SHOWN else "")
            raise BadAnswer(f"the program's answer isn't JSON: {why}: {text!r}") from None
        if found is not None:
            yield found


def _decode_text(data: bytes) -> Iterator[str]:
    yield _text(data)


def _decode_bytes(data: bytes) -> Iterator[bytes]:
    yield data


FORMATS: dict[Name, Format] = {
    "lines": Format(_encode_text, _decode_lines),
    "jsonl": Format(_encode_json, _decode_json),
    "text": Format(_encode_text, _decode_text, by_line=False),
    "bytes": Format(_encode_text, _decode_bytes, by_line=False),
}
