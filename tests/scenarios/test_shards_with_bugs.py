"""Bugs planted where shards are dealt and joined: what a merge is held against notices each of them."""

from __future__ import annotations

from functools import cached_property

import pytest
from msgspec.structs import replace
from support.project import Project
from support.sharding import OUTPUTS, chain, written

from stagerunner.api import Request, prepare
from stagerunner.plan.shards import all_shards, sharded
from stagerunner.runtime import merging
from stagerunner.runtime.shard_source import ShardSource

OF = 3


def prepared(project):
    return prepare(project / "chain.yaml", Request(allow_dead_letters=True))


def run_shards(project):
    whole = prepared(project)
    for shard in all_shards(OF):
        replace(whole, plan=sharded(whole.plan, shard)).execute()


def told(project, summary):
    """All by which a merge is judged: files, and the counts end to end and of each stage."""
    counts = [(stage.name, stage.taken, stage.out, stage.filtered, stage.dead) for stage in summary.stages]
    return written(project, *OUTPUTS), summary.records, counts


def merged(project):
    return told(project, merging.merge(prepared(project).plan, OF, allow_dead_letters=True))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A project whose shards have been run, and what one run without shards gives."""
    project = Project(tmp_path_factory.mktemp("shards"))
    chain(project, run={"engine": "inline"})
    whole = told(project, prepared(project).execute())
    run_shards(project)
    return project, whole


def test_without_a_bug_nothing_differs(shards):
    project, whole = shards

    assert merged(project) == whole


def first_bound(shift):
    """A shard begins so many splits later than it should; earlier ones then have two readers, or none."""

    def plant(patch):
        right = ShardSource._bounds.func

        def shifted(self):
            bounds, places = right(self), self._places()
            before = len(places) * (self._shard.number - 1) // self._shard.of
            return bounds._replace(first=places[before - 1 + shift]) if before else bounds

        bounds = cached_property(shifted)
        bounds.__set_name__(ShardSource, "_bounds")
        patch.setattr(ShardSource, "_bounds", bounds)

    return plant


@pytest.mark.parametrize(("what", "shift"), [("a split is dealt twice", -1), ("a split is dealt to no shard", 1)])
def test_splits_that_are_dealt_wrong_are_noticed(project, shards, monkeypatch, what, shift):
    chain(project, run={"engine": "inline"})
    first_bound(shift)(monkeypatch)
    run_shards(project)

    (files, records, _), (_, whole) = merged(project), shards

    assert files != whole[0], what
    assert (records["in"] < whole[1]["in"]) == (shift > 0)


FINISHED, LETTERS, LEDGER, WRITE = merging._finished, merging._letters_in, merging._ledger_of, merging._write


def of_the_second(key):
    """The letters or dropped records of one shard are left out."""
    return lambda one, of: iter(()) if of == key and one.plan.shard.number == 2 else LETTERS(one, of)


BUGS = {
    "a shard is missing": ("_finished", lambda plan, of: FINISHED(plan, of)[:-1]),
    "shards are joined in another order": ("_finished", lambda plan, of: FINISHED(plan, of)[::-1]),
    "only the outputs are joined in another order": (
        "_write",
        lambda target, parts, sink: WRITE(target, parts[::-1], sink),
    ),
    "dead letters of one shard are left out": ("_letters_in", of_the_second("letters")),
    "dropped records of one shard are left out": ("_letters_in", of_the_second("dropped")),
    "the ledger of one shard is not added": ("_ledger_of", lambda plan, finished: LEDGER(plan, finished[1:])),
    "the ledger of one shard is added twice": (
        "_ledger_of",
        lambda plan, finished: LEDGER(plan, [*finished, finished[0]]),
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_what_is_joined_wrong_is_noticed(shards, monkeypatch, bug):
    project, whole = shards
    monkeypatch.setattr(merging, *BUGS[bug])

    assert merged(project) != whole
