"""The sink `singer`, with a target of the tests' own and with target-jsonl from PyPI, as it is."""

from __future__ import annotations

import json
import subprocess
import sys
import venv

import pytest
from support import needs

TARGET = """
import json, os, sys
count, state = 0, None
with open("kept", "w") as kept:
    for line in sys.stdin:
        message = json.loads(line)
        kept.write(line)
        if message["type"] == "STATE" and not "{how}" == "silent":
            print(json.dumps(message["value"]), flush=True)
        if message["type"] == "RECORD" and (count := count + 1) == 30 and "{how}" == "dies":
            os._exit(4)
print("kept", count, file=sys.stderr)
"""
RANGE = {"use": "range", "with": {"stop": 100}}
RECORD = {"use": "set", "with": {"n": "value"}}


def target(place, how="well"):
    (place.folder / "target.py").write_text(TARGET.replace("{how}", how))
    return {"use": "singer", "with": {"command": [sys.executable, "target.py"], "stream": "numbers", "keys": ["n"]}}


def kept(place, kind):
    lines = (place.folder / "kept").read_text().splitlines()
    return [message for message in map(json.loads, lines) if message["type"] == kind]


def test_a_target_gets_schema_records_and_states(place):
    place.chain(
        place.counting(stop=100, streams=["numbers"]), {"use": "deadly", "with": {"at": 51}}, sink=target(place)
    )

    done = place.run()

    assert done.returncode == 0
    assert "target.py: kept 80" in done.stderr or ": kept 80" in done.stderr
    assert [message["record"]["n"] for message in kept(place, "RECORD")] == [n for n in range(100) if n % 5]
    assert kept(place, "SCHEMA")[0] == {
        "type": "SCHEMA", "stream": "numbers", "schema": {}, "key_properties": ["n"],
    }  # fmt: skip
    assert kept(place, "STATE")


def test_a_tap_and_a_target_agree_on_streams_and_schemas(place):
    place.chain(place.counting(stop=20, schema=True, streams=None), sink=target(place))

    assert place.run().returncode == 0
    assert {message["stream"] for message in kept(place, "RECORD")} == {"numbers", "fives"}
    told = {message["stream"]: message for message in kept(place, "SCHEMA")}
    assert told["numbers"]["schema"] == {"properties": {"n": {"type": "integer"}}}
    assert told["numbers"]["key_properties"] == ["n"]


@pytest.mark.parametrize(
    ("how", "why"),
    [("dies", "the target ended with 4"), ("silent", "may not have kept all records")],
)
def test_a_target_that_has_not_kept_everything_fails_the_run(place, how, why):
    place.chain(place.counting(stop=600, streams=["numbers"]), sink=target(place, how))

    failed = place.run()

    assert failed.returncode == 1
    assert why in failed.stderr


def test_a_run_into_a_target_can_not_be_resumed(place):
    place.chain(place.counting(stop=3), sink=target(place))
    assert place.run("--resume").returncode == 2


def test_a_record_that_is_no_mapping_is_a_failure_of_that_record(place):
    sink = target(place) | {"on_error": "skip"}
    place.chain({"use": "range", "with": {"stop": 3}}, sink=sink)
    done = place.run()
    assert done.returncode == 0
    assert kept(place, "RECORD") == []


# From PyPI


@pytest.fixture(scope="module")
def target_jsonl(tmp_path_factory):
    """target-jsonl in an environment of its own, as it pins old libraries."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    install = [sys.executable, "-m", "pip", "--python", folder, "install", "-q", "--no-compile", "target-jsonl==0.1.4"]
    if subprocess.run([*install, "setuptools<81"], capture_output=True, timeout=100).returncode:
        needs.missing("target-jsonl can't be installed: no package index is reached")
    return folder / "bin" / "target-jsonl"


def test_target_jsonl_gets_what_a_file_gets(place, target_jsonl):
    (place.folder / "kept").mkdir()
    options = {
        "command": str(target_jsonl),
        "config": {"destination_path": "kept", "do_timestamp_file": False},
        "stream": "n",
    }
    tap = place.counting(stop=300, streams=["numbers"])
    place.chain(tap, {"use": "deadly", "with": {"at": 201}}, sink={"use": "singer", "with": options})
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert place.out("kept/n.jsonl") == [{"n": n} for n in range(300) if n % 5]
