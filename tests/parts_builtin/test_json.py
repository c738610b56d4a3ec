import pytest

from stagerunner import Reject
from stagerunner_parts.json import dump, parse


def test_there_and_back():
    assert parse(' {"a": [1, 2.5, null, "ä"]} ') == {"a": [1, 2.5, None, "ä"]}
    assert dump({"a": [1, 2.5, None, "ä"]}) == '{"a":[1,2.5,null,"ä"]}'


@pytest.mark.parametrize("text", ["", "{", '{"a":1} 2', "[" * 100_000, "null", "NaN"])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(Reject):
        parse(text)
