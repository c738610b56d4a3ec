from __future__ import annotations

import pickle

import pytest

from stagerunner.chain.pickling import KEPT, Pickling


class Rooted:
    def __reduce__(self):
        raise TypeError("I stay here")


def test_each_value_comes_out_as_if_it_were_the_first():
    pickled, shared = Pickling(), ["x" * 10]

    first, second = pickled([shared, shared]), pickled([shared, 1])

    assert pickle.loads(first) == [shared, shared]
    assert second == pickle.dumps([shared, 1], 5)


def test_what_can_not_be_pickled_leaves_no_trace():
    pickled = Pickling()

    with pytest.raises(TypeError, match="I stay here"):
        pickled(["a" * 100_000, Rooted()])

    assert pickle.loads(pickled([1, 2])) == [1, 2]


def test_large_values_are_put_together_from_their_parts():
    pickled, large = Pickling(), [b"a" * KEPT, "b" * KEPT]

    assert pickle.loads(pickled(large)) == large
    assert pickle.loads(pickled([1])) == [1]
