import subprocess
import sys
from pathlib import Path

from stagerunner import Reject
from stagerunner_parts.parse import Parse

DATA = Path(__file__).parents[3] / "configs" / "data"


def matches(line):
    try:
        return bool(Parse().process(line))
    except Reject:
        return False


def test_it_writes_the_log_that_is_kept():
    made = subprocess.run([sys.executable, DATA / "make_access_log.py"], capture_output=True, check=True)
    assert made.stdout == (DATA / "access.log").read_bytes()


def test_about_one_line_in_a_hundred_is_malformed():
    lines = (DATA / "access.log").read_text().split("\n")[:-1]
    malformed = sum(not matches(line) for line in lines)
    assert len(lines) == 3000
    assert 15 < malformed < 60
