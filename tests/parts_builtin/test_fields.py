import pytest

from stagerunner import Reject
from stagerunner_parts.fields import drop, rename, select

RECORD = {"a": 1, "b": 2, "c": 3}


def test_select_keeps_the_order_asked_for():
    assert list(select(RECORD, fields=["c", "a"]).items()) == [("c", 3), ("a", 1)]


def test_drop_passes_over_what_is_not_there():
    assert drop(RECORD, fields=["b", "x"]) == {"a": 1, "c": 3}


def test_rename_keeps_the_places():
    assert list(rename(RECORD, fields={"a": "b", "b": "a"})) == ["b", "a", "c"]


def test_what_is_refused():
    with pytest.raises(Reject, match="'x'"):
        select(RECORD, fields=["x"])
    with pytest.raises(Reject, match="'x'"):
        rename(RECORD, fields={"x": "y"})
    with pytest.raises(Reject, match="two fields the same name"):
        rename(RECORD, fields={"a": "b"})


def test_the_record_stays_as_it_is():
    rename(RECORD, fields={"a": "x"})
    assert RECORD == {"a": 1, "b": 2, "c": 3}
