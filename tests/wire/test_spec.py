from __future__ import annotations

import pickle

import pytest
from support.hiring import hired

from stagerunner.wire.spec import MOST, Feed


@pytest.mark.parametrize(
    ("names", "width", "label"),
    [(("parse",), 1, "parse"), (("parse",), 3, "parse/2"), (("parse", "hide"), 1, "parse+hide"), ((), 1, "copy")],
)
def test_a_label_says_who_it_is(names, width, label):
    assert hired(names=names, number=1 if width > 1 else 0, width=width).label == label


def test_a_hire_is_plain_data():
    hire = hired(len)

    assert pickle.loads(pickle.dumps(hire)) == hire


# The source process


def test_what_a_feeder_is_told_is_plain_data():
    feed = Feed("pkg.module:name", {"stop": 3}, 0.05)

    assert pickle.loads(pickle.dumps(feed, 5)) == feed
    assert (feed.files, feed.records) == ({}, MOST)
