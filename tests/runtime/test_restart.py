from __future__ import annotations

import pytest

from stagerunner.config.model import Run, Settings
from stagerunner.delivery.ledger import Ledger
from stagerunner.engines.base import Trouble
from stagerunner.engines.topology import grouped
from stagerunner.evaluate.work import Work
from stagerunner.parts.base import Part
from stagerunner.parts.stage import Form
from stagerunner.plan import Plan, PlannedStage
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.checkpoints import Checkpoints
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.runtime.epoch import Epoch
from stagerunner.runtime.input import GivenRecords
from stagerunner.runtime.regrouping import Regrouping
from stagerunner.runtime.restart import Restart
from stagerunner.window.core import Window
from stagerunner.window.isolation import MOST_RESTARTS

KILLED = Trouble("double", 0, 4711, "SIGKILL", 0)
"""Of a worker that had nothing in hand."""

PLAIN, FORGETFUL = Form(), Form(state=True)


class Wire:
    """A transport and a result writer: what they are told, and which columns outputs have."""

    arena, cores, works_ahead = None, 2, False

    def __init__(self, plan: Plan) -> None:
        self.groups = grouped(plan, [1])
        self.started, self.sent, self.ended = [], [], []
        self.known = {}

    def start(self, epoch, snapshots):
        self.started.append((epoch, snapshots))

    def send(self, header, metadata, body):
        self.sent.append((header.epoch, header.split))

    def end(self, frames):
        self.ended.append(frames)

    def columns(self):
        return self.known


class Chain:
    """Three records on their way, one to a frame, in a chain of one stage."""

    def __init__(self, form: Form = PLAIN, most: int = 3) -> None:
        work = Work(0, "double", "m:f", form)
        stages = (PlannedStage("double", work, Settings(), Part("stage", "double", "")),)
        plan = Plan("test", stages, run=Run(frame=1))
        self.wire = wire = Wire(plan)
        window, blocks = Window(1000, least_frames=most, least_records=1), Blocks()
        self.epoch = Epoch(window, wire, blocks)
        dispatch = Dispatch(plan, GivenRecords([1, 2, 3]), window, wire, self.epoch.send, lambda: False)
        self.checkpoints = Checkpoints(window, dispatch, lambda: None, ["double"], marks=False)
        regrouping = Regrouping(plan, wire, Ledger(1, sinks=0))
        self.restart = Restart(
            plan, wire, wire, window, blocks, dispatch, self.checkpoints, regrouping, lambda event: None
        )
        dispatch.feed()
        self.window = window


def test_the_next_epoch_has_the_last_snapshots_and_what_is_not_accepted():
    chain = Chain()
    chain.checkpoints.snapshots = {0: "state"}
    chain.window.receive(0, 0, 0, 1, more=False)

    epoch = chain.restart.after_death(KILLED)

    assert (epoch.number, chain.wire.started) == (2, [(2, {0: "state"})])
    assert chain.wire.sent[3:] == [(2, 1), (2, 2)]


@pytest.mark.parametrize(("most", "ended"), [pytest.param(3, [], id="not yet"), pytest.param(4, [3], id="sent")])
def test_end_is_sent_again_if_all_was_sent(most, ended):
    chain = Chain(most=most)

    epoch = chain.restart.after_death(KILLED)

    assert (chain.wire.ended, epoch.end_sent, chain.epoch.end_sent) == (ended, bool(ended), False)


def test_restarts_that_do_not_help_are_given_up():
    chain = Chain()

    found = [chain.restart.after_death(KILLED) for _ in range(MOST_RESTARTS)]

    assert found[-1] is KILLED
    assert KILLED not in found[:-1]


def test_state_that_is_lost_ends_the_run_if_the_source_cannot_be_read_again():
    chain = Chain(FORGETFUL)

    assert chain.restart.after_death(KILLED) is KILLED
    assert not chain.wire.started


def test_workers_are_given_the_columns_of_each_output_once():
    chain = Chain()
    chain.wire.known = {0: ["a", "b"]}

    epoch = chain.restart.with_columns(0, chain.epoch.columns)

    assert chain.wire.started == [(2, {1: ["a", "b"]})]  # sinks are numbered behind the stages
    assert "other columns" in chain.restart.with_columns(0, epoch.columns).how


def test_other_groups_are_no_restart():
    chain = Chain()

    assert chain.restart.with_groups().number == 2
    assert chain.restart.isolation.restarts == 0
