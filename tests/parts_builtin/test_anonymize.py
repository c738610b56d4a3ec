import pytest

from stagerunner import Reject
from stagerunner.evaluate import stage_api
from stagerunner_parts.anonymize import Anonymize

RECORD = {"ip": "1.2.3.4", "user": {"name": "amy", "age": 5}, "all": [{"ip": "a"}, {"ip": "b"}, 7], "none": None}


def test_hash_hides_and_stays_the_same():
    stage = Anonymize(fields=["ip"], salt="x")
    hidden = stage.process(RECORD)
    assert hidden["ip"] != "1.2.3.4"
    assert len(hidden["ip"]) == 16
    assert hidden == stage.process(RECORD)
    assert hidden["ip"] != Anonymize(fields=["ip"], salt="y").process(RECORD)["ip"]


def test_drop_and_mask():
    assert Anonymize(fields=["ip"], method="drop").process({"ip": 1, "a": 2}) == {"a": 2}
    assert Anonymize(fields=["ip"], method="mask").process({"ip": 1, "a": 2}) == {"ip": "***", "a": 2}


def test_dots_reach_inside():
    hidden = Anonymize(fields=["user.name", "all.ip"], method="mask").process(RECORD)
    assert hidden["user"] == {"name": "***", "age": 5}
    assert hidden["all"] == [{"ip": "***"}, {"ip": "***"}, 7]


def test_a_name_with_a_dot_in_it():
    assert Anonymize(fields=["a.b"], method="drop").process({"a.b": 1, "a": {"b": 2}}) == {"a": {"b": 2}}


def test_null_stays_null():
    assert Anonymize(fields=["none"]).process(RECORD)["none"] is None


def test_the_record_itself_stays_as_it_is():
    Anonymize(fields=["user.name", "all.ip"]).process(RECORD)
    assert RECORD["user"]["name"] == "amy"
    assert RECORD["all"][0] == {"ip": "a"}


def test_a_text_is_refused_since_all_of_it_would_pass():
    with pytest.raises(Reject, match="takes a mapping of fields"):
        Anonymize(fields=["ip"]).process("1.2.3.4 amy")
    assert Anonymize(fields=["ip"], method="drop").process([{"ip": 1, "a": 2}]) == [{"a": 2}]


@pytest.mark.parametrize("name", ["x", "user.x", "ip.x", "all.x"])
def test_what_is_not_there_is_counted(name):
    listener = stage_api.CallListener()
    token = stage_api.current.set(listener)
    assert Anonymize(fields=[name]).process(RECORD) == RECORD
    stage_api.current.reset(token)
    assert listener.extra == {f"without {name}": 1}
