"""Records as datatrove's documents, and documents as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from stagerunner import Reject, missing_field

if TYPE_CHECKING:
    from datatrove.data import Document


class Fields(NamedTuple):
    """Where a record has what a document consists of.

    text, id: names of fields. metadata: the field with the metadata; None if all other fields are the metadata.
    """

    text: str = "text"
    id: str = "id"
    metadata: str | None = None

    def document(self, record: Any) -> Document:
        """The document of a record. Raises Reject if it has none."""
        from datatrove.data import Document  # late: it takes a second, and only workers need it

        if not isinstance(record, Mapping):
            raise Reject(
                f"a document is made of a mapping of fields, but the record is of type {type(record).__name__}"
            )
        if self.text not in record:
            raise missing_field(record, self.text)
        text = record[self.text]
        if not isinstance(text, str):
            raise Reject(f"field {self.text!r} is of type {type(text).__name__}, and a document's text is text")
        return Document(text=text, id=str(record.get(self.id, "")), metadata=self._metadata(record))

    def _metadata(self, record: Mapping[str, Any]) -> dict[str, Any]:
        if self.metadata is None:
            return {name: value for name, value in record.items() if name not in (self.text, self.id)}
        found = record.get(self.metadata)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise Reject(f"field {self.metadata!r} is of type {type(found).__name__}, and metadata is a mapping")
        return dict(found)

    def record(self, before: Mapping[str, Any], document: Document) -> dict[str, Any]:
        """The record with what the document has now: fields keep their places, new ones come last."""
        kept = {self.text: document.text}
        if self.metadata is not None:
            if document.metadata or self.metadata in before:
                kept[self.metadata] = document.metadata
            others = {name: value for name, value in before.items() if name not in kept}
        else:
            others = document.metadata
        if self.id in before:
            same = document.id == str(before[self.id])
            kept[self.id] = before[self.id] if same else document.id
        elif document.id:
            kept[self.id] = document.id
        found = {**others, **kept}
        return {**{name: found[name] for name in before if name in found}, **found}
