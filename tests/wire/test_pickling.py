from __future__ import annotations

import pickle
import weakref
from datetime import date

import pytest

from stagerunner.wire.pickling import LARGE, Pickling, Strange


class Known:
    pass


class Rooted:
    def __reduce__(self):
        raise TypeError("I stay here")


def test_each_value_is_pickled_as_if_it_were_the_first():
    pickled, shared = Pickling(), ["x" * 10]

    first, second = pickled([shared, shared]), pickled([shared, 1])

    assert pickle.loads(first) == [shared, shared]
    assert second == pickle.dumps([shared, 1], 5)


def test_a_value_that_can_not_be_pickled_leaves_no_trace():
    pickled = Pickling()

    with pytest.raises(TypeError, match="I stay here"):
        pickled(["a" * 100_000, Rooted()])

    assert pickle.loads(pickled([1, 2])) == [1, 2]


def test_a_pickled_value_is_not_held():
    pickled, values = Pickling(), [Known()]
    alive = weakref.ref(values[0])

    pickled(values)
    values.clear()

    assert alive() is None


def test_nor_is_a_value_that_could_not_be_pickled():
    pickled, values = Pickling(), [Known(), Rooted()]
    alive = weakref.ref(values[0])

    with pytest.raises(TypeError):
        pickled(values)
    values.clear()

    assert alive() is None


def test_large_values_are_put_together_from_their_parts():
    pickled, large = Pickling(), [b"a" * 2**20, "b" * 2**20]

    assert pickle.loads(pickled(large)) == large
    assert pickle.loads(pickled([1])) == [1]


def test_large_bytes_are_separate_parts_and_not_copied():
    large = b"a" * 2**20

    assert any(part is large for part in Pickling().parts([large]))


def test_buffers_can_go_out_of_band():
    aside = []

    data = Pickling(aside.append)([pickle.PickleBuffer(b"abc")])

    assert pickle.loads(data, buffers=[memoryview(b"abc")]) == [b"abc"]
    assert len(aside) == 1


def test_a_pickler_is_reused_for_frames_of_similar_size():
    pickled = Pickling()
    made = pickled._pickler

    for value in ("a" * 100_000, "a" * 200_000, "a" * 30_000):
        assert pickle.loads(pickled([value])) == [value]

    assert pickled._pickler is made


@pytest.mark.parametrize("sizes", [[LARGE], [200_000, 20_000], [200_000, 30_000, 20_000]])
def test_the_pickler_of_a_much_larger_frame_is_not_reused(sizes):
    pickled = Pickling()
    made = pickled._pickler

    for size in sizes:
        pickled(["a" * size])

    assert pickled._pickler is not made


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, b"x", ("y",), {1}, frozenset()]}])
def test_plain_values_are_pickled_as_usual(value):
    assert pickle.loads(Pickling(plain=True)(value)) == value


@pytest.mark.parametrize(
    "value", [bytearray(), bytearray(b"x" * 70_000), Known(), Known, len, {1: date(2026, 5, 1)}, "\x96" + "\0" * 9]
)
def test_a_value_that_is_not_plain_is_refused(value):
    pickled = Pickling(plain=True)

    with pytest.raises(Strange):
        pickled([1, value])

    assert pickle.loads(pickled([1, 2])) == [1, 2]
