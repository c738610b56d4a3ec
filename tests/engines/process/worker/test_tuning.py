from __future__ import annotations

import subprocess
import sys

SETTLED = """
import gc
from stagerunner.engines.process.worker.tuning import YOUNG, tune_memory
tune_memory()
print(gc.get_threshold()[0] == YOUNG, gc.get_freeze_count() > 0)
"""

LOGGED = """
import logging
from stagerunner.engines.process.worker.tuning import forward_logging
forward_logging()
logging.getLogger("mine").info("hello")
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_the_collector_comes_seldom_and_never_to_what_setup_has_made():
    assert run(SETTLED).stdout == "True True\n"


def test_what_is_logged_comes_out_as_a_line():
    assert run(LOGGED).stderr == "INFO mine: hello\n"


DEEPER = """
import resource
from stagerunner.engines.process.worker.tuning import with_room

def leaf():
    return None

def faults(depth):
    "The page faults of a thousand calls at this depth."
    if depth:
        return faults(depth - 1)
    leaf()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(1000):
        leaf()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(with_room(lambda: max(map(faults, range(400)))))
"""


def test_a_call_costs_no_page_faults_however_deep_it_is():
    """Without room it costs 1,000 faults and more at some depths."""
    assert int(run(DEEPER).stdout) < 100


REUSED = """
import resource
from stagerunner.engines.process.worker.tuning import tune_memory
tune_memory()

def faults():
    "The page faults of thirty texts of a megabyte, which are then freed."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [bytes([number]) * 10**6 for number in range(30)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults() > 5000, faults() + faults() < 500)
"""


def test_the_memory_of_a_large_list_is_used_again():
    assert run(REUSED).stdout == "True True\n"
