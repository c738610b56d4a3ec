from __future__ import annotations

import pickle


def test_what_workers_are_told_can_be_sent(planned):
    work = planned({"use": "shout", "with": {"times": 2}}).stages[0].work
    assert pickle.loads(pickle.dumps(work)) == work


def test_a_planned_stage_is_called_as_its_work_is(planned):
    assert planned({"use": "shout", "name": "louder"}).stages[0].name == "louder"
