"""Sources of other formats: the parent is killed at random records and resumed, and so are workers."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest
from support.compressed import compressed
from support.leaks import needs_proc

pytestmark = needs_proc

COUNT = 3000
RECORDS = [{"n": str(number), "text": 'x,"]\\' * (number % 7)} for number in range(COUNT)]

PARTS = """
@stage
def fatal(record):
    "Kills the parent, or its own worker, at these records, and lets through in the next life."
    if int(record["n"]) in MOMENTS and once(f"met {record['n']}"):
        os.kill(parent() if int(record["n"]) % 2 else os.getpid(), signal.SIGKILL)
    return record
"""


def document():
    elements = [json.dumps(record, indent=number % 3 or None) for number, record in enumerate(RECORDS)]
    elements[7] = '{"n": ]'  # and one that is malformed
    return '{"before": [[1]], "rows": [' + ",\n".join(elements) + '], "after": {}}'


def table():
    rows = "".join(f"{row['n']};'{row['text']}'\n" for row in RECORDS)
    return "# exported\nn;text\n" + rows.replace("\n7;'", "\n7;8;'").replace("\n70;", "\n#;'\n70;")


CASES = {
    "in.json": (document, {"use": "json", "with": {"at": "rows"}}),
    "in.json.zst": (document, {"use": "json", "with": {"at": "rows"}}),
    "in.csv": (table, {"use": "csv", "with": {"delimiter": "sniff", "quote": "sniff", "comment": "#"}}),
    "in.tsv.gz": (lambda: table().replace(";", "\t"), {"use": "csv", "with": {"quote": "'", "comment": "#"}}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_record_is_in_the_output_or_a_dead_letter_whoever_is_killed(project, name):
    content, source = CASES[name]
    chance = random.Random(name)
    moments = [chance.randrange(9, 1000, 2), chance.randrange(1000, 2000, 2), chance.randrange(2001, COUNT, 2)]
    project.plugin(f"MOMENTS = {moments!r}\n" + PARTS)
    (project / name).write_bytes(compressed(f".{name.rpartition('.')[2]}", content().encode()))
    source = source | {"on_error": "dead_letter", "with": source["with"] | {"path": name}}
    run = {"frame": 31, "checkpoint": "1ms", "window": "16KB"}
    stages = [{"use": "fatal", "workers": 2}]
    project.config(*stages, source=source, sink="out.jsonl", dead_letter="letters.jsonl", run=run)

    kills, arguments = 0, ("run", "chain.yaml", "-q", "--allow-dead-letters")
    while (done := project.cli(*arguments, *["--resume"] * (kills > 0))).returncode == -signal.SIGKILL:
        kills += 1

    assert (done.returncode, done.stderr) == (0, b"")
    assert kills == 2
    found = [json.loads(line) for line in (project / "out.jsonl").read_text().splitlines()]
    assert found == RECORDS[:7] + RECORDS[8:]
    (letter,) = [json.loads(line) for line in (project / "letters.jsonl").read_text().splitlines()]
    assert letter["origin"]["offset"] == content().encode().index(letter["record"].encode())


@pytest.mark.parametrize("there", [False, True], ids=["a new folder", "a folder that is there"])
@pytest.mark.parametrize("point", ["commit:4", "rename:1"])
def test_a_file_for_each_record_whenever_the_parent_is_killed(project, point, there):
    project.plugin("MOMENTS = [100]\n" + PARTS)
    project.write("in.jsonl", "".join(f"{json.dumps(record)}\n" for record in RECORDS[:200]))
    if there:
        (project / "out").mkdir()
        project.write("out/0.txt", "old")
        project.write("out/mine.txt", "mine")
    sink = {"use": "files", "with": {"path": "out", "name": "{n}.txt", "content": "text"}}
    run = {"frame": 7, "checkpoint": "1ms", "window": "1KB"}
    project.config({"use": "fatal", "workers": 2}, source="in.jsonl", sink=sink, run=run)
    environment = os.environ | {"STAGERUNNER_KILL_AT": point, "STAGERUNNER_KILL_LOG": str(project / "log")}

    killed = project.cli("run", "chain.yaml", "-q", env=environment)
    done = project.cli("run", "chain.yaml", "-q", "--resume")

    assert (killed.returncode, done.returncode, done.stderr) == (-signal.SIGKILL, 0, b"")
    found = {path.name: path.read_text() for path in (project / "out").iterdir()}
    assert found == {f"{one['n']}.txt": one["text"] for one in RECORDS[:200]} | ({"mine.txt": "mine"} if there else {})
    assert not (project / "out.partial").exists()
