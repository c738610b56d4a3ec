"""A JSON Schema for structured answers, checked by fastjsonschema (drafts 4, 6 and 7).

What that library would ignore or fetch is refused: keywords of later drafts, and references that lead elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from stagerunner_parts.needed import need

LATER = frozenset(
    (
        *("prefixItems", "unevaluatedItems", "unevaluatedProperties", "minContains", "maxContains"),
        *("dependentRequired", "dependentSchemas", "$dynamicRef", "$recursiveRef"),
    )
)
"""Keywords of drafts from 2019 on that say something about values."""

_NAMED = frozenset(("properties", "patternProperties", "definitions", "$defs", "dependencies"))
"""Keywords whose mapping has names of properties or definitions for keys."""

_DATA = frozenset(("enum", "const", "default", "examples"))
"""Keywords whose value is data, not a schema."""


class Schema:
    """A JSON Schema: the option type of `schema`."""

    def __init__(self, data: Any) -> None:
        self.data = data

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Raises ValueError if it is no schema, or one that can't be checked."""
        if not isinstance(data, dict):
            raise ValueError("a schema is a mapping, such as {type: object, properties: …}")
        for keyword, value in _keywords(data):
            if keyword in LATER:
                raise ValueError(f"`{keyword}` isn't known here: a schema may use what draft 7 has")
            if keyword == "$ref" and not str(value).startswith("#"):
                raise ValueError(f"`$ref: {value}` leads out of the schema")
        made = cls(data)
        made.check()
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[Any]]:
        return type(self), (self.data,)

    def __repr__(self) -> str:
        return f"Schema({self.data!r})"

    def check(self) -> Any:
        """A function that raises ValueError, in words, for a value that doesn't fit. Raises ValueError if the schema is
        wrong."""
        need("http", "fastjsonschema")
        import fastjsonschema  # late: only chains with a schema need it

        try:
            fits = fastjsonschema.compile(self.data)
        except Exception as error:  # it raises what it stumbles over
            raise ValueError(f"it can't be read: {error}") from None
        wrong = fastjsonschema.JsonSchemaValueException

        def check(value: Any) -> None:
            try:
                fits(value)
            except wrong as error:
                raise ValueError(error.message) from None

        return check


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every keyword in a schema and in those within it, with its value."""
    if isinstance(schema, list):
        for item in schema:
            yield from _keywords(item)
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        yield keyword, value
        if keyword in _NAMED and isinstance(value, dict):
            for inner in value.values():
                yield from _keywords(inner)
        elif keyword not in _DATA:
            yield from _keywords(value)
