"""The stage `parse`: a line of text apart into fields."""

from __future__ import annotations

import re
from typing import Any, Literal

from stagerunner import Reject, stage
from stagerunner_parts.values import must_be_text

QUOTED = r'"(?P<%s>(?:[^"\\]|\\.)*)"'
"""What a server has written between quotes: quotes and backslashes in it have a backslash before them."""

COMMON = (
    r"(?P<ip>\S+) (?P<ident>\S+) (?P<user>\S+|.{1,255}?) \[(?P<time>[^\]]{1,40})\] "
    r'(?:"(?P<method>[A-Z][A-Z_-]*) (?P<path>[^"\\\s]+|(?:[^"\\]|\\.)+?)(?: (?P<protocol>[A-Za-z]+/[\d.]+))?"|%s) '
    r"(?P<status>\d{3}) (?P<size>\d+|-)"
) % (QUOTED % "request")
COMBINED = f"{COMMON} {QUOTED % 'referer'} {QUOTED % 'agent'}"

PRESETS = {"common": COMMON, "combined": COMBINED}


class Pattern:
    """A regular expression with named groups: the option type of `pattern`."""

    def __init__(self, text: str) -> None:
        try:
            self.compiled = re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"it is no regular expression: {error}") from None
        if not self.compiled.groupindex:
            raise ValueError("it names no field; a group (?P<name>…) does")
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError when it is no regular expression or names no group."""
        return cls(text)

    def __reduce__(self) -> tuple[type[Pattern], tuple[str]]:
        return Pattern, (self.text,)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


@stage("parse", pure=True)
class Parse:
    """Take a line of text apart into fields.

    The whole line has to match; one that doesn't is refused. A group that takes no part is null. The presets give ip,
    ident, user, time, method, path, protocol, status and size, combined gives referer and agent too; status and size
    are whole numbers, a size of "-" is null. A request that is no method and path, such as bytes of TLS, stands whole
    in path, and method and protocol are null; so is path where the server has written "-" for none.

    preset: the format of a web server's log.
    pattern: a regular expression instead, with a named group (?P<name>…) for each field.
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
