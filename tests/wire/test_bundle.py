from __future__ import annotations

import pytest

from stagerunner.records import DATA
from stagerunner.wire.bundle import bundle, frames_of
from stagerunner.wire.frame import BadFrame, Header


def header(sequence):
    return Header(DATA, 0, 1, sequence)


def test_frames_come_out_as_they_went_in():
    data = bundle([(header(1), b"said", b"body"), (header(2), b"", b"")])

    assert [(frame.header.sequence, bytes(frame.payload)) for frame in frames_of(data)] == [(1, b"saidbody"), (2, b"")]


def test_nothing_is_no_frame():
    assert list(frames_of(b"")) == []


@pytest.mark.parametrize("lost", [1, 4, 20, 60])
def test_a_bundle_that_ends_early_is_bad(lost):
    data = bundle([(header(1), b"said", b"body")])

    with pytest.raises(BadFrame):
        list(frames_of(data[:-lost]))
