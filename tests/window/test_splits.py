from __future__ import annotations

from stagerunner.records import TO_THE_END
from stagerunner.window.kinds import DATA
from stagerunner.window.splits import Kept, Sent, Verdict


def test_a_split_is_kept_whole_and_with_nothing_taken():
    kept = Kept(0, b"", 10)

    assert (kept.end, kept.accepted, kept.counted, kept.done) == (TO_THE_END, 0, 0, False)


def test_a_frame_stands_for_its_split_to_the_end_unless_it_is_cut():
    sent = Sent(0, DATA, Kept(0, b"", 10))

    assert (sent.first, sent.last, sent.verdict) == (0, TO_THE_END, Verdict.ACCEPT)
