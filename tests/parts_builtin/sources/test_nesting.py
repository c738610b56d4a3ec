import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagerunner_parts.sources import nesting
from stagerunner_parts.sources.nesting import Nesting, ValueEnd

BITS = [b"a", b'"', b",", b"[", b"]", b"{", b"}", b"\\", b'\\"', b"[]", b"{}", b'"a"', b" 1"]
TEXTS = st.lists(st.sampled_from(BITS), max_size=30).map(b"".join)


def walk(data):
    """For each byte: what it is, and the depth after it; by looking at one after the other."""
    depth, quoted, escaped, found = 0, False, False, []
    for byte in data:
        char = chr(byte)
        if escaped and char in '"\\':
            char = "x"
            escaped = False
        else:
            escaped = char == "\\"
        if char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char in "[{") - (char in "]}")
        found.append((char if not quoted else "x", depth, quoted, escaped))
    return found


def state(data):
    return walk(data)[-1][1:] if data else (0, False, False)


@given(TEXTS, st.lists(st.integers(1, 9)))
def test_the_nesting_is_the_same_however_the_bytes_come(data, sizes):
    ours, at, lowest = Nesting(), 0, 0
    for size in [*sizes, len(data)]:
        if part := data[at : at + size]:
            lowest = min(lowest, ours.pass_over(part))
        at += size
    assert (ours.depth, ours.quoted, ours.escaped) == state(data)
    assert lowest == min([0, *(depth for _, depth, *_ in walk(data))])


@given(TEXTS, st.integers(0, 12))
def test_elements_end_at_commas_outside_everything_and_at_the_bracket_that_leads_out(data, cut):
    before = Nesting()
    if data[:cut]:
        before.pass_over(data[:cut])
    whole = walk(data)
    if any(depth < 0 for _, depth, *_ in whole[:cut]):
        return
    marks = [index + 1 for index, (char, depth, *_) in enumerate(whole) if (char == "," and not depth) or depth < 0]
    first_out = next((index + 1 for index, (_, depth, *_) in enumerate(whole) if depth < 0), len(data))
    assert list(before.ends(data[cut:])) == [mark - cut for mark in marks if cut < mark <= first_out]


def value_end(data):
    for index, (char, depth, *_) in enumerate(walk(data)):
        if (char == "," and not depth) or depth < 0:
            return index
        if char in "]}" and not depth:
            return index + 1
    return -1


@given(TEXTS, st.integers(1, 9))
def test_a_value_ends_where_its_brackets_are_closed_or_before_what_follows(data, size):
    value, wanted, found = ValueEnd(), value_end(data), -1
    for at in range(0, len(data), size):
        end = value.feed(data[at : at + size])
        if end >= 0:
            found = at + end
            break
    assert found == wanted


@pytest.mark.parametrize("depth", [1, nesting.PASSES - 1, nesting.PASSES, nesting.PASSES + 1, 5000])
def test_brackets_may_be_nested_deeply(depth):
    ours = Nesting()
    assert ours.pass_over(b"[" * depth + b"]" * (depth - 1)) == 0
    assert ours.depth == 1
    assert ours.pass_over(b"{" * depth + b"}" * (depth + 3) + b"[" * 7) == -2
    assert ours.depth == 5


def test_long_texts_are_passed_over_in_steps():
    data = b'{"a": "' + b'x,\\"]' * 20000 + b'"}, 2'
    for size in (1000, nesting.STEP, len(data)):
        value = ValueEnd()
        ends = [value.feed(data[at : at + size]) for at in range(0, len(data), size)]
        (index, end) = next((index, end) for index, end in enumerate(ends) if end >= 0)
        assert index * size + end == len(data) - 3
    assert list(itertools.islice(Nesting().ends(data), 2)) == [len(data) - 2]
