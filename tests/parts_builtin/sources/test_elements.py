import json
import random

import pytest

from stagerunner_parts.sources.elements import ElementCutter, ElementRule, ValueCutter, ValueRule
from stagerunner_parts.sources.pieces import HEAD, Overlong

RULE = ElementRule()


def fed(cutter, data, size):
    blocks = []
    for at in range(0, len(data), size):
        blocks += cutter.feed(data[at : at + size])
        if cutter.ended:
            return blocks, cutter.rest + data[at + size :]
    return blocks + cutter.finish(), b""


def records(blocks, longest):
    """Each element's bytes; of one that is longer, its head and its length."""
    found = []
    for block in blocks:
        for raw in [block] if isinstance(block, Overlong) else RULE.records(block, longest):
            found.append(tuple(raw[:2]) if isinstance(raw, Overlong) else raw)
    return [(raw[:HEAD], len(raw)) if isinstance(raw, bytes) and len(raw) > longest else raw for raw in found]


def value(chance, depth=0):
    kind = chance.randint(0, 7 if depth < 4 else 4)
    if kind > 5:
        return {chance.choice('a"\\[,é'): value(chance, depth + 1) for _ in range(chance.randint(0, 3))}
    if kind == 5:
        return [value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    text = "".join(chance.choices('ab"\\[]{},\n é', k=chance.randint(0, 12)))
    return [None, True, chance.random(), chance.randint(-9, 9), text][kind]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("longest", [3, 30, 10**9])
def test_the_elements_of_random_arrays_however_they_come(seed, longest):
    chance = random.Random(seed)
    elements = [
        json.dumps(value(chance), indent=chance.choice([None, 1])).encode() for _ in range(chance.randint(1, 30))
    ]
    data, rest = b",".join(elements) + b"]", chance.choice([b"", b"\n", b', "x": [1, 2]}'])
    wanted = records([data], longest)
    if longest == 10**9:
        assert wanted == elements
    for size in (1, 2, 3, 7, 50, len(data), len(data) + 5):
        blocks, after = fed(ElementCutter(longest), data + rest, size)
        assert records(blocks, longest) == wanted
        assert after == rest
        assert sum(block.span if isinstance(block, Overlong) else len(block) for block in blocks) == len(data)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_an_element_that_is_too_long_is_not_held(size):
    cutter = ElementCutter(100)
    data = b'1,["' + b"x" * 5000 + b'"],2]'
    (one, long, two), _ = fed(cutter, data, size) if size < 1000 else (fed(cutter, data, 900)[0], b"")
    assert (one, two) == (b"1,", b"2]")
    assert long == Overlong(b'["' + b"x" * (HEAD - 2), 5004, 5005)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("data", "found", "rest"),
    [
        (b'{"a": [1]} , 2', [b'{"a": [1]}'], b" , 2"),
        (b"12}", [b"12"], b"}"),
        (b'"a,]"', [b'"a,]"'], b""),
        (b'"a,]", 1', [b'"a,]"'], b", 1"),
        (b"[[[[1, 2, 3]]]]]", [Overlong(b"[[[[1, 2, 3]]]]", 15, 15)], b"]"),
        (b"1234567890123", [Overlong(b"1234567890123", 13, 13)], b""),
    ],
)
def test_a_single_value(data, found, rest, size):
    assert fed(ValueCutter(12), data, size) == (found, rest)
    assert ValueRule().records(b"1, 2", 1) == [b"1, 2"]


def test_whether_the_end_of_the_input_may_end_a_value():
    for data, may in ((b"12", True), (b'"x"', True), (b'"x', False), (b"[1", False)):
        cutter = ValueCutter(100)
        cutter.feed(data)
        assert cutter.may_end == may
