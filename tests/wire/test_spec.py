from __future__ import annotations

import pickle

import pytest
from support.hiring import hired


@pytest.mark.parametrize(
    ("names", "width", "label"),
    [(("parse",), 1, "parse"), (("parse",), 3, "parse/2"), (("parse", "hide"), 1, "parse+hide"), ((), 1, "copy")],
)
def test_a_label_says_who_it_is(names, width, label):
    assert hired(names=names, number=1 if width > 1 else 0, width=width).label == label


def test_a_hire_is_plain_data():
    hire = hired(len)

    assert pickle.loads(pickle.dumps(hire)) == hire
