"""Records become documents, and documents records, with nothing lost between."""

from __future__ import annotations

import pytest
from datatrove.data import Document

from stagerunner import Reject
from stagerunner_datatrove.documents import Fields

PAGE = {"url": "http://a", "text": "Hello", "id": 7, "tags": ["x"]}


def test_all_other_fields_are_the_metadata():
    document = Fields().document(PAGE)
    assert document == Document("Hello", "7", metadata={"url": "http://a", "tags": ["x"]})
    assert Fields().record(PAGE, document) == PAGE


def test_fields_keep_their_places_and_new_ones_come_last():
    document = Document("hi", "7", metadata={"language": "en", "url": "http://b"})
    assert list(Fields().record(PAGE, document).items()) == [
        ("url", "http://b"),
        ("text", "hi"),
        ("id", 7),
        ("language", "en"),
    ]


def test_metadata_may_lie_in_one_field():
    fields = Fields("body", "key", "meta")
    record = {"meta": {"a": 1}, "body": "x", "other": True}
    document = fields.document(record)
    assert document == Document("x", "", metadata={"a": 1})
    document.metadata["b"] = 2
    assert fields.record(record, document) == {"meta": {"a": 1, "b": 2}, "body": "x", "other": True}
    assert record["meta"] == {"a": 1}

    bare = {"body": "x", "key": "k"}
    assert fields.record(bare, fields.document(bare)) == bare


def test_an_id_that_a_step_changes_or_gives_is_taken():
    assert Fields().record({"text": "x"}, Document("x", "new")) == {"text": "x", "id": "new"}
    assert Fields().record({"id": 1, "text": "x"}, Document("x", "new")) == {"id": "new", "text": "x"}


@pytest.mark.parametrize(
    ("fields", "record", "why"),
    [
        (Fields(), "a text", "is of type str"),
        (Fields(), {"id": 1}, "text"),
        (Fields(), {"text": None}, "field 'text' is of type NoneType"),
        (Fields(metadata="meta"), {"text": "x", "meta": [1]}, "metadata is a mapping"),
    ],
)
def test_a_record_that_is_no_document_is_refused(fields, record, why):
    with pytest.raises(Reject) as refused:
        fields.document(record)
    assert why in str(refused.value)
