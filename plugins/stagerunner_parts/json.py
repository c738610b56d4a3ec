"""Stages between JSON text and values."""

from __future__ import annotations

from typing import Any

import msgspec.json

from stagerunner import Reject, stage
from stagerunner_parts.sinks.rendering import json_text

_decode = msgspec.json.Decoder().decode


@stage("json.parse")
def parse(text: str) -> Any:
    """Read a text as one JSON value.

    A text that isn't JSON is refused, and so is `null`, which can't be a record.
    """
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Reject(f"this isn't JSON: {error}") from None
    if value is None:
        raise Reject("null can't be a record")
    return value


@stage("json.dump")
def dump(record: Any) -> str:
    """Write a record as one line of JSON."""
    return json_text(record).decode()
