from __future__ import annotations

import pytest

from stagerunner.config.model import Run
from stagerunner.plan import fusible
from stagerunner.plan.fusing import fusion_notes

AUTO = Run(fuse="auto")


def shout(name: str, **settings) -> dict:
    return {"use": "shout", "name": name, **settings}


def test_neighbours_without_anything_of_their_own_may_share(planned):
    assert fusible(planned(shout("a"), "pairs", shout("b"), run=AUTO)) == (3,)


def test_nothing_is_shared_unless_it_is_asked_for(planned):
    plan = planned(shout("a"), shout("b"))

    assert fusible(plan) == (1, 1)
    assert list(fusion_notes(plan)) == []


def test_a_chain_without_stages_has_nothing_to_share(planned):
    assert fusible(planned(run=AUTO)) == ()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"timeout": 1.0}, "'b' has a timeout"),
        ({"env": (("A", "1"),)}, "'b' has an environment of its own"),
        ({"max_memory": 2**30}, "'b' has a max_memory"),
        ({"workers": 2}, "'a' has 1 workers, 'b' 2"),
    ],
)
def test_what_a_stage_has_for_itself_keeps_it_apart(planned, settings, why):
    plan = planned(shout("a"), shout("b", **settings), shout("c"), run=AUTO)

    assert fusible(plan) == (1, 1, 1)
    assert f"a and b stay apart: {why}" in list(fusion_notes(plan))


def test_an_async_stage_takes_in_frames_ahead_and_stays_alone(planned):
    assert fusible(planned(shout("a"), shout("b"), "ask", shout("c"), shout("d"), run=AUTO)) == (2, 1, 2)


def test_state_that_can_be_handed_on_may_share(planned):
    assert fusible(planned("latest", shout("a"), run=AUTO)) == (2,)


def test_state_without_snapshot_forbids_all_sharing(planned):
    plan = planned(shout("a"), shout("b"), "tally", run=AUTO)

    assert fusible(plan) == (1, 1, 1)
    assert "'tally' has state without snapshot" in next(fusion_notes(plan))


def test_check_says_what_passes_in_a_group(planned):
    plan = planned(shout("a"), shout("b"), run=AUTO)

    assert plan.notes[-1] == (
        "a + b may share their workers: results that can't be pickled pass between them while they do"
    )


def test_an_engine_without_processes_of_its_own_fuses_nothing(planned):
    plan = planned(shout("a"), shout("b"), run=AUTO, how={"engine": "inline"})

    assert list(fusion_notes(plan)) == []
