"""Mistakes for programs: as JSON, and as GitHub's annotations. For people see `config.diagnostics`."""

from __future__ import annotations

from typing import Any

from stagerunner.errors import Mistake


def as_json(mistake: Mistake) -> dict[str, Any]:
    """One mistake as plain data; line and column count from 1."""
    return {
        "code": mistake.code,
        "message": mistake.message,
        "file": mistake.mark.file,
        "line": mistake.mark.line,
        "column": mistake.mark.column,
        "path": mistake.path,
        "fix": mistake.fix,
    }


def as_github(mistake: Mistake) -> str:
    """One mistake as a line that GitHub shows beside the code."""
    mark = mistake.mark
    place = f"file={_property(mark.file)},line={mark.line},col={mark.column},title={_property(mistake.code)}"
    return f"::error {place}::{_data(f'{mistake.message}; {mistake.fix}' if mistake.fix else mistake.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
