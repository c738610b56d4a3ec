from __future__ import annotations

import os

from support.processes import children

from stagerunner.runtime.opening import begin_engine

SOURCE = {"use": "range", "with": {"stop": 5}}


def test_a_fork_server_that_no_transport_took_over_is_ended(project):
    begun = begin_engine(project.plan("same", source=SOURCE, sink="out.jsonl"))
    begun.close()
    begun.close()

    assert children(os.getpid()) == set()


def test_an_engine_need_not_begin_or_close(project):
    begun = begin_engine(project.plan("same", source=SOURCE, sink="out.jsonl", run={"engine": "inline"}))
    begun.close()
