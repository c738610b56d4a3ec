from __future__ import annotations

import os
import selectors

from stagerunner.engines.process.engine import ProcessEngine
from stagerunner.engines.process.parent.worker_pool import Crew


def test_the_process_engine_moves_frames_with_a_crew(project):
    with selectors.DefaultSelector() as selector:
        transport = ProcessEngine().transport(project.load("same").plan, selector, lambda *line: None, "1")

        assert isinstance(transport, Crew)
        transport.close()


def test_stages_run_in_processes_of_their_own(project):
    project.plugin("""
        @stage
        def pid(record):
            return os.getpid()
    """)
    results = list(project.results({"use": "pid", "workers": 2}, records=range(100), run={"frame": 10}))

    assert len(set(results)) == 2
    assert os.getpid() not in results
