from types import MappingProxyType

import pytest

from stagerunner import Reject
from stagerunner_parts.values import field


def test_a_field_inside_a_field():
    assert field({"a": {"b": 1}}, "a.b") == 1
    assert field({"a": {"b": 1}, "a.b": 2}, "a.b") == 2
    assert field(MappingProxyType({"a": 1}), "a") == 1


@pytest.mark.parametrize("record", [{}, {"a": 1}, {"a": None}, "text", 5, [1]])
def test_a_missing_field_refuses_the_record(record):
    with pytest.raises(Reject, match=r"no field 'a\.b'"):
        field(record, "a.b")
