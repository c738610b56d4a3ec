"""`source:` as a list: its parts are read in order, and a resume goes on in the part where the run stood."""

from __future__ import annotations

import itertools
import json
import signal

import pytest
from support.leaks import needs_proc

from stagerunner.errors import ConfigError

pytestmark = needs_proc

PARTS = """
from stagerunner import Mark

@source
class Topic:
    def read(self, after):
        tell("topic began", after)
        for number in range(after or 1000, 2000):
            yield number
            if number % 7 == 0:
                yield Mark(number + 1)

@source
def ticks(*, stop: int = 10):
    tell("ticks began")
    yield from range(stop)

@stage
def fatal(record):
    "Kills the parent at these records, and lets through in the next life."
    if record in (500, 1500) and once(f"met {record}"):
        os.kill(parent(), signal.SIGKILL)
    return record

@stage
def deadly(record):
    if record in (700, 1001, 2700) and once(f"died {record}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record

@stage
def fussy(record):
    if record % 97 == 5:
        raise ValueError(f"{record} will not do")
    return record

@stage(state=True)
class Sum:
    def __init__(self):
        self.sum = 0
    def process(self, record):
        self.sum += record
        return [record, self.sum]
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data

@stage
class Forgetful:
    def __init__(self):
        self.sum = 0
    def process(self, record):
        self.sum += record
        return [record, self.sum]
    def flush(self):
        yield self.sum
"""

FUSSY = {"use": "fussy", "on_error": "dead_letter"}
BELOW, TOPIC, ABOVE = {"use": "jsonl", "with": {"path": "below.jsonl"}}, "topic", "above.jsonl"
NUMBERS = list(range(3000))


@pytest.fixture
def parts(project):
    """Three parts: numbers below 1000, a stream with marks, numbers from 2000 on."""
    project.plugin(PARTS)
    for name, numbers in (("below", NUMBERS[:1000]), ("above", NUMBERS[2000:])):
        project.write(f"{name}.jsonl", "".join(f"{number}\n" for number in numbers))
    return project


def out(project):
    return [json.loads(line) for line in (project / "out.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_the_parts_are_read_in_order_whatever_their_sort(parts, engine):
    source = [ABOVE, {"use": "ticks", "with": {"stop": 3}}, BELOW, {"use": "range", "with": {"stop": 2}}]
    results = parts.results("same", source=source, engine=engine)

    assert list(results) == [*NUMBERS[2000:], 0, 1, 2, *NUMBERS[:1000], 0, 1]
    assert results.summary.records["in"] == 2005


def test_a_stream_begins_when_its_turn_comes(parts):
    results = parts.results("same", source=[BELOW, "ticks"])
    next(results)
    assert not (parts / "ticks began").exists()
    assert len(list(results)) == 1009
    assert (parts / "ticks began").exists()


@pytest.mark.parametrize("stages", [("fatal", FUSSY, "deadly"), ("fatal", "sum")])
def test_a_resume_goes_on_in_the_part_where_the_run_stood(parts, stages):
    ends = {"sink": "out.jsonl", "dead_letter": "failed.jsonl", "run": {"checkpoint": "5ms"}}
    parts.config(*stages, source=[BELOW, TOPIC, ABOVE], **ends)
    lives = 1
    while (code := parts.cli("run", "chain.yaml", "--resume", "--allow-dead-letters").returncode) != 0:
        assert code == -signal.SIGKILL
        lives += 1
    assert lives > 1

    sums = list(itertools.accumulate(NUMBERS))
    passed = [number for number in NUMBERS if number % 97 != 5]
    assert out(parts) == (passed if FUSSY in stages else [[number, sums[number]] for number in NUMBERS])
    letters = [json.loads(line)["record"] for line in (parts / "failed.jsonl").read_text().splitlines()]
    assert letters == [number for number in NUMBERS if number % 97 == 5 and FUSSY in stages]


def test_state_without_snapshot_reads_all_parts_again(parts):
    results = parts.results("deadly", "forgetful", source=[BELOW, ABOVE])
    *found, last = results
    assert [record for record, _ in found] == [*NUMBERS[:1000], *NUMBERS[2000:]]
    assert found[-1][1] == last == sum(NUMBERS[:1000]) + sum(NUMBERS[2000:])


def test_each_part_has_its_own_policy_and_says_where_a_record_stands(parts):
    parts.write("odd.jsonl", "1\nx\n2\n")
    parts.write("bad.jsonl", "3\ny\n4\n")
    odd = {"use": "jsonl", "with": {"path": "odd.jsonl"}, "on_error": "skip"}
    bad = {"use": "jsonl", "with": {"path": "bad.jsonl"}, "on_error": "dead_letter"}
    topic = {"use": "ticks", "name": "feed", "with": {"stop": 6}}
    parts.execute(FUSSY, source=[odd, bad, topic], sink="out.jsonl", dead_letter="failed.jsonl")

    assert out(parts) == [1, 2, 3, 4, 0, 1, 2, 3, 4]
    letters = [json.loads(line) for line in (parts / "failed.jsonl").read_text().splitlines()]
    assert [(letter["stage"], letter["origin"]["name"].rpartition("/")[2]) for letter in letters] == [
        ("source", "bad.jsonl"),
        ("fussy", "feed"),
    ]


def test_a_limit_and_an_early_stop_end_in_the_midst_of_a_part(parts):
    assert list(parts.load({"use": "take", "with": {"n": 1200}}, source=[BELOW, TOPIC]).run()) == NUMBERS[:1200]
    parts.config("same", source=[BELOW, TOPIC, ABOVE], sink="out.jsonl")
    assert parts.cli("run", "chain.yaml", "-n", "2300").returncode == 0
    assert out(parts) == NUMBERS[:2300]


def test_a_part_that_can_not_be_read_again_is_named(parts):
    plan = parts.plan("same", source=[BELOW, {"use": "ticks", "name": "live"}], sink="out.jsonl")
    assert "'live' is a part of the source, and a stream can't be read again" in plan.notes[0]
    parts.execute("same", source=[BELOW, "ticks"], sink="out.jsonl")
    assert parts.cli("run", "chain.yaml", "--resume").returncode == 2


def test_parts_that_changed_are_not_resumed(parts):
    parts.config("late", source=[BELOW, ABOVE], sink="out.jsonl")
    parts.plugin(PARTS + "\n@stage\ndef late(record):\n    return record if record != 2500 else 1 // 0\n")
    assert parts.cli("run", "chain.yaml").returncode == 1
    parts.config("late", source=[ABOVE, BELOW], sink="out.jsonl")
    told = parts.cli("run", "chain.yaml", "--resume")
    assert (told.returncode, b"has changed since" in told.stderr) == (2, True)


def test_a_list_without_parts_is_a_mistake(parts):
    with pytest.raises(ConfigError, match="so there is nothing to read"):
        parts.load("same", source=[])
    with pytest.raises(ConfigError, match="two parts of the source are called 'a'"):
        parts.load("same", source=[{"use": "ticks", "name": "a"}, {"use": "topic", "name": "a"}])


def test_a_part_is_set_by_its_name_or_number(parts):
    parts.config("same", source=[{"use": "ticks", "name": "few"}, {"use": "ticks"}], sink="out.jsonl")
    flags = ("--set", "source.few.with.stop=2", "--set", "source.1.with.stop=1")
    assert parts.cli("run", "chain.yaml", *flags).returncode == 0
    assert out(parts) == [0, 1, 0]
    assert b"no part is called" in parts.cli("run", "chain.yaml", "--set", "source.fw.with.stop=2").stderr


def test_what_a_part_reads_is_not_overwritten(parts):
    with pytest.raises(ConfigError, match="overwrite what the source reads"):
        parts.plan("same", source=[BELOW, ABOVE], sink=ABOVE)
