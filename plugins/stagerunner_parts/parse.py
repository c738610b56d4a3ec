"""The stage `parse`: split a line of text into fields."""

from __future__ import annotations

import re
from typing import Any, Literal

from stagerunner import Reject, TextOption, stage
from stagerunner_parts.values import must_be_text

QUOTED = r'"(?P<%s>(?:[^"\\]|\\.)*)"'
"""A text in quotes, as a server writes it: quotes and backslashes in it are escaped by a backslash."""

COMMON = (
    r"(?P<ip>\S+) (?P<ident>\S+) (?P<user>\S+|.{1,255}?) \[(?P<time>[^\]]{1,40})\] "
    r'(?:"(?P<method>[A-Z][A-Z_-]*) (?P<path>[^"\\\s]+|(?:[^"\\]|\\.)+?)(?: (?P<protocol>[A-Za-z]+/[\d.]+))?"|%s) '
    r"(?P<status>\d{3}) (?P<size>\d+|-)"
) % (QUOTED % "request")
COMBINED = f"{COMMON} {QUOTED % 'referer'} {QUOTED % 'agent'}"

PRESETS = {"common": COMMON, "combined": COMBINED}


class Pattern(TextOption):
    """A regular expression with named groups: the option type of `pattern`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            self.compiled = re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"this is not a regular expression: {error}") from None
        if not self.compiled.groupindex:
            raise ValueError("it names no field: write a group (?P<name>…) for each")


@stage("parse", pure=True)
class Parse:
    """Split a line of text into fields.

    The whole line must match; a line that doesn't is refused. An optional group that doesn't match is null. The presets
    give ip, ident, user, time, method, path, protocol, status and size; combined also gives referer and agent. Status
    and size are whole numbers, and a size of "-" is null. If the request isn't a method and a path (bytes of TLS, for
    example), path is the whole request, and method and protocol are null; for a request of "-", path is null too.

    preset: the log format of a web server.
    pattern: your own regular expression, with a named group (?P<name>…) for each field.
    """

    def __init__(self, *, preset: Literal["common", "combined"] = "combined", pattern: Pattern | None = None) -> None:
        self.preset = preset
        self.pattern = pattern
        self._match = (self.pattern.compiled if self.pattern else re.compile(PRESETS[self.preset])).fullmatch
        self._expected = "pattern" if self.pattern else f"{self.preset} log format"

    def process(self, line: str) -> dict[str, Any]:
        try:
            found = self._match(line)
        except TypeError:
            must_be_text(line)
            raise
        if found is None:
            raise Reject(f"the line doesn't match the {self._expected}")
        fields: dict[str, Any] = found.groupdict()
        if self.pattern is None:
            request = fields.pop("request")
            if request is not None:
                fields["path"] = None if request == "-" else request
            fields["status"] = int(fields["status"])
            fields["size"] = None if fields["size"] == "-" else int(fields["size"])
        return fields
