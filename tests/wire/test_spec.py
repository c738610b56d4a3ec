from __future__ import annotations

import pickle

import pytest
from support.specs import spec_for

from stagerunner.wire.spec import SourceSpec


@pytest.mark.parametrize(
    ("names", "width", "label"),
    [(("parse",), 1, "parse"), (("parse",), 3, "parse/2"), (("parse", "hide"), 1, "parse+hide"), ((), 1, "copy")],
)
def test_a_label_has_the_stage_and_the_worker(names, width, label):
    assert spec_for(names=names, number=1 if width > 1 else 0, width=width).label == label


def test_a_spec_is_plain_data():
    spec = spec_for(len)

    assert pickle.loads(pickle.dumps(spec)) == spec


# The source process


def test_a_source_spec_is_plain_data():
    feed = SourceSpec("pkg.module:name", {"stop": 3}, 0.05)

    assert pickle.loads(pickle.dumps(feed, 5)) == feed
    assert feed.files == {}
