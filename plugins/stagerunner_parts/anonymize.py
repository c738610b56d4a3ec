"""The stage `anonymize`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Literal

from stagerunner import count, stage
from stagerunner_parts.digests import digest
from stagerunner_parts.values import must_be_mapping

MASK = "***"


@stage("anonymize", pure=True)
class Anonymize:
    """Hide the values of fields: hash them, mask them or leave them out.

    A record without fields, such as a text, is refused. A field that a record lacks is ignored, and counted as
    "without NAME". Null stays null.

    fields: what to hide; `user.name` is a field inside a field, and applies to each item of a list.
    method: hash replaces equal values by the same 16 hexadecimal digits, drop leaves the field out, mask writes ***.
    salt: a text that changes all hashes. Without it, anyone who guesses a value can check the guess.
    """

    def __init__(self, *, fields: list[str], method: Literal["hash", "drop", "mask"] = "hash", salt: str = "") -> None:
        self.fields = fields
        self.method = method
        self.salt = salt
        self._key = blake2b(self.salt.encode()).digest()
        self._hide: Callable[[Any], Any] = self._hashed if self.method == "hash" else lambda value: MASK

    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        for name in self.fields:
            hidden = self._without(record, name)
            if hidden is record:
                if not isinstance(record, list):
                    must_be_mapping(record)  # a text would pass with everything in it that should be hidden
                count(f"without {name}")
            record = hidden
        return record

    def _hashed(self, value: Any) -> str:
        return digest(value, size=8, key=self._key).hex()

    def _without(self, found: Any, name: str) -> Any:
        """A copy with the field hidden; the same object if it has no such field."""
        if isinstance(found, list):
            items = [self._without(item, name) for item in found]
            return found if all(new is old for new, old in zip(items, found, strict=True)) else items
        if not isinstance(found, Mapping):
            return found
        return self._hidden_in(found, name) if name in found else self._deeper(found, name)

    def _hidden_in(self, found: Mapping[str, Any], name: str) -> dict[str, Any]:
        if self.method == "drop":
            return {key: value for key, value in found.items() if key != name}
        value = found[name]
        return {**found, name: None if value is None else self._hide(value)}

    def _deeper(self, found: Mapping[str, Any], name: str) -> Any:
        outer, dot, inner = name.partition(".")
        if not dot or outer not in found:
            return found
        value = self._without(found[outer], inner)
        return found if value is found[outer] else {**found, outer: value}
