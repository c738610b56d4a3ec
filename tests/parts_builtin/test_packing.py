from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagerunner.journal import decode_snapshots, encode_snapshots
from stagerunner_parts.packing import packed, packed_all, unpacked, unpacked_all

SINGLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
ANY = SINGLE | st.lists(SINGLE, max_size=3) | st.tuples(SINGLE) | st.dates() | st.decimals(allow_nan=False)


def kept(data):
    """The data as the journal gives it back."""
    return decode_snapshots(encode_snapshots({0: data}))[0]


@settings(derandomize=True, deadline=None)
@given(ANY)
def test_a_value_comes_back_from_the_journal_as_what_it_was(value):
    back = unpacked(kept(packed(value)))
    assert (type(back), back) == (type(value), value)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.integers()) | st.lists(st.text()) | st.lists(st.none() | st.booleans() | st.integers()) | st.lists(ANY)
)
def test_so_do_many(values):
    back = unpacked_all(kept(packed_all(values)))
    assert list(map(repr, back)) == list(map(repr, values))


@pytest.mark.parametrize(
    "value", ["\ud800", 2**63, -(2**63) - 1, 10**400, ["a"], {"a": 1}, b"x", date(2026, 1, 1), Decimal("1.50")]
)
def test_what_the_journal_can_not_hold_is_pickled(value):
    for many in ([value], [value, "a"], [1, value], [None, value]):
        assert unpacked_all(kept(packed_all(many))) == many
    assert isinstance(packed(value), list)


@pytest.mark.parametrize("values", [["a", "ü"], [1, 2**63 - 1, -(2**63)], [None, True, 0.5], []])
def test_plain_values_are_taken_as_they_are(values):
    assert packed_all(values) is values
