"""The stage `parse`: a line of text apart into fields."""

from __future__ import annotations

import re
from typing import Any, Literal

from stagerunner import Reject, stage

COMMON = (
    r"(?P<ip>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "
    r'"(?P<method>[A-Z]+) (?P<path>[^"\s]+)(?: (?P<protocol>[^"\s]+))?" '
    r"(?P<status>\d{3}) (?P<size>\d+|-)"
)
QUOTED = r'"(?P<%s>(?:[^"\\]|\\.)*)"'
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


@stage("parse")
class Parse:
    """Take a line of text apart into fields.

    The whole line has to match; one that doesn't is refused. A group that takes no part is null. The presets give ip,
    ident, user, time, method, path, protocol, status and size, combined gives referer and agent too; status and size
    are whole numbers, a size of "-" is null.

    preset: the format of a web server's log.
    pattern: a regular expression instead, with a named group (?P<name>…) for each field.
    """

    def __init__(self, *, preset: Literal["common", "combined"] = "combined", pattern: Pattern | None = None) -> None:
        self.preset = preset
        self.pattern = pattern
        self._match = (self.pattern.compiled if self.pattern else re.compile(PRESETS[self.preset])).fullmatch
        self._expected = "pattern" if self.pattern else f"{self.preset} log format"

    def process(self, line: str) -> dict[str, Any]:
        found = self._match(line)
        if found is None:
            raise Reject(f"the line doesn't match the {self._expected}")
        fields: dict[str, Any] = found.groupdict()
        if self.pattern is None:
            fields["status"] = int(fields["status"])
            fields["size"] = None if fields["size"] == "-" else int(fields["size"])
        return fields
