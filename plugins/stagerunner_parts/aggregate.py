"""Stages that remember what they have seen."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from stagerunner import stage
from stagerunner_parts.digests import canonical, digest, key_of
from stagerunner_parts.packing import packed, unpacked
from stagerunner_parts.values import field

DIGEST = 16
"""Bytes kept of each value. Only among some 10^19 different values, two are likely to share them."""


@stage("dedupe", pure=True)
class Dedupe:
    """Let only the first of equal records through.

    Records are equal if they have the same types and content: 1 and 1.0 differ, but the order of keys doesn't matter.
    The stage keeps 16 bytes of each value that it has seen. A record that lacks the field is refused.

    key: the field to compare; by default, the whole record.
    """

    def __init__(self, *, key: str | None = None) -> None:
        self.key = key
        self._seen: set[bytes] = set()

    def process(self, record: Any) -> Any | None:
        value = digest(record if self.key is None else field(record, self.key), size=DIGEST)
        if value in self._seen:
            return None
        self._seen.add(value)
        return record

    def snapshot(self) -> str:
        return b64encode(b"".join(self._seen)).decode()

    def restore(self, data: str) -> None:
        seen = b64decode(data)
        self._seen = {seen[at : at + DIGEST] for at in range(0, len(seen), DIGEST)}


@stage("count", pure=True)
class Count:
    """Count how often each value occurs.

    At the end it gives {BY: value, "count": n} for each value, the most frequent first, then in order of their text.
    A record that lacks the field is refused.

    by: the field to count by; by default, whole records are counted, as {"record": value, "count": n}.
    top: give only so many values.
    """

    def __init__(self, *, by: str | None = None, top: int | None = None) -> None:
        self.by = by
        self.top = top
        if self.by == "count":
            raise ValueError("`by` can't be 'count', the name of the number itself; rename the field first")
        self._entries: dict[Any, list[Any]] = {}

    def check(self, environment: Mapping[str, str]) -> None:
        """What is wrong with the options, the constructor has said."""

    def process(self, record: Any) -> None:
        value = record if self.by is None else field(record, self.by)
        key = key_of(value)
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = [value, 1]
        else:
            entry[1] += 1

    def flush(self) -> Iterator[dict[str, Any]]:
        name = "record" if self.by is None else self.by
        ordered = sorted(self._entries.values(), key=lambda entry: (-entry[1], str(entry[0]), canonical(entry[0])))
        for value, number in ordered[: self.top]:
            yield {name: value, "count": number}

    def snapshot(self) -> list[Any]:
        return [[packed(value), number] for value, number in self._entries.values()]

    def restore(self, data: list[Any]) -> None:
        values = [(unpacked(value), number) for value, number in data]
        self._entries = {key_of(value): [value, number] for value, number in values}
