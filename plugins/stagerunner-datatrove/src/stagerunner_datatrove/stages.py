"""The stages `datatrove` and `datatrove.batch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stagerunner import count, stage
from stagerunner_datatrove.documents import Fields

if TYPE_CHECKING:
    from stagerunner_datatrove.steps import Call, Tally


class Step:
    """A step of datatrove for records: what both stages are constructed with."""

    def __init__(
        self,
        *,
        step: str,
        options: dict[str, Any] | None = None,
        text: str = "text",
        id: str = "id",
        metadata: str | None = None,
    ) -> None:
        self._step = step
        self._options = options or {}
        self._fields = Fields(text, id, metadata)
        self._tally: Tally


@stage("datatrove", state=False)
class Datatrove(Step):
    """Apply a filter, formatter or extractor of datatrove to each document.

    What a filter drops is filtered out, with datatrove's reason.

    step: the class: its name, or module:Class for one that isn't datatrove's own.
    options: what it is constructed with. {object: "module:name"} is a function or class, with `with:` an instance.
    text: the field with the text.
    id: the field with the document's id.
    metadata: the field with the metadata; without it, all other fields are the metadata.
    """

    _call: Call

    def check(self, environment: Mapping[str, str]) -> None:
        from stagerunner_datatrove import steps  # late, here and below: listing stages needs none of it

        steps.check(self._step, self._options)

    def setup(self) -> None:
        from stagerunner_datatrove import steps

        step, self._tally = steps.made(steps.step_class(self._step), self._options)
        self._call = steps.call_of(step)

    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        document = self._fields.document(record)
        try:
            self._call(document)
        finally:
            self._tally.tell()
        return self._fields.record(record, document)


@stage.batch("datatrove.batch", state=False)
class DatatroveBatch(Step):
    """Apply a filter of datatrove to lists of documents: for filters with a `filter_batch` of their own.

    The lists are as long as the setting `batch` says. Reasons are counted: dropped_REASON.

    step: the class: its name, or module:Class for one that isn't datatrove's own.
    options: what it is constructed with. {object: "module:name"} is a function or class, with `with:` an instance.
    text: the field with the text.
    id: the field with the document's id.
    metadata: the field with the metadata; without it, all other fields are the metadata.
    """

    _filter: Any

    def check(self, environment: Mapping[str, str]) -> None:
        from stagerunner_datatrove import steps

        found = steps.step_class(self._step)
        if not hasattr(found, "filter_batch"):
            raise ValueError(f"{self._step!r} isn't a filter, and only filters take lists; `use: datatrove` takes it")
        steps.check_options(found, self._options)
        steps.check_objects(self._options)

    def setup(self) -> None:
        from stagerunner_datatrove import steps

        self._filter, self._tally = steps.made(steps.step_class(self._step), self._options)

    def process_batch(self, records: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
        from stagerunner_datatrove.steps import kept

        documents = [self._fields.document(record) for record in records]
        try:
            outcomes = [kept(outcome) for outcome in self._filter.filter_batch(documents)]
        finally:
            self._tally.tell()
        for keeps, reason in outcomes:
            if not keeps and reason:
                count(f"dropped_{reason}")
        found = zip(records, documents, outcomes, strict=True)
        return [self._fields.record(record, document) if keeps else None for record, document, (keeps, _) in found]
