from __future__ import annotations

import pickle

from stagerunner.wire.feed import MOST, Feed


def test_what_a_feeder_is_told_is_plain_data():
    feed = Feed("pkg.module:name", {"stop": 3}, 0.05)

    assert pickle.loads(pickle.dumps(feed, 5)) == feed
    assert (feed.files, feed.records) == ({}, MOST)
