"""Stages that convert between JSON text and values."""

from __future__ import annotations

from typing import Any

import msgspec.json

from stagerunner import Reject, stage
from stagerunner_parts.sinks.rendering import json_text
from stagerunner_parts.values import must_be_text

_decode = msgspec.json.Decoder().decode


@stage("json.parse", pure=True)
def parse(text: str) -> Any:
    """Parse a text as one JSON value.

    A text that isn't JSON is refused, and so is `null`, which can't be a record.
    """
    try:
        value = _decode(text)
    except TypeError:
        must_be_text(text)
        raise
    except (ValueError, RecursionError) as error:
        raise Reject(f"this is not JSON: {reason(error)}") from None
    if value is None:
        raise Reject("null can't be a record")
    return value


def reason(error: Exception) -> str:
    """Why a text couldn't be read as JSON: in our own words where that matters, else in the library's."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return f"the surrogate U+{ord(error.object[error.start]):04X} at {error.start} is not a character"
    return str(error)


@stage("json.dump", pure=True)
def dump(record: Any) -> str:
    """Write a record as one line of JSON."""
    return json_text(record).decode()
