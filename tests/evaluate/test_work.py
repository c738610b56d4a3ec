from __future__ import annotations

import pickle

from stagerunner.evaluate.work import NoSlot, Work
from stagerunner.parts.stage import Form


def test_a_work_can_be_pickled():
    work = Work(1, "parse", "m:parse", Form(many=True), {"preset": "combined"}, attempts=3)
    assert pickle.loads(pickle.dumps(work)) == work


def test_a_slot_that_stores_nothing_takes_anything():
    slot = NoSlot()
    slot.enter(3)
    slot.leave()
