"""Remote files, on real servers: read and written exactly once, whoever is killed and whatever the server does."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess

import pytest
from support import needs
from support.leaks import needs_proc
from support.project import command
from support.remote import Bucket, Sftp, Shelf
from support.waiting import wait_until
from support.web import Reply

pytestmark = needs_proc

COUNT = 1200
RECORDS = [{"n": str(number), "text": 'x,"' * (number % 7)} for number in range(COUNT)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
WRITTEN = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in RECORDS).encode()
KEPT = b"".join(line for number, line in enumerate(WRITTEN.splitlines(True)) if number not in (500, 1000))

PARTS = """
@stage
def fatal(record):
    "Kills the parent, or its own worker, at these records, and lets through in the next life."
    if int(record["n"]) in (601, 900) and once(f"met {record['n']}"):
        os.kill(parent() if record["n"] == "601" else os.getpid(), signal.SIGKILL)
    if record["n"] in ("500", "1000"):
        raise Reject("round")
    return record

@stage
def counted(record):
    with open(Path(__file__).parent / "calls", "a") as calls:
        calls.write("x")
    return record
"""


def table():
    rows = "".join(f"{row['n']};'{row['text']}'\n" for row in RECORDS)
    return gzip.compress(("n;text\n" + rows).encode())


FILES = {
    "in.jsonl": (LINES, {"use": "jsonl", "with": {}}),
    "in.csv.gz": (table(), {"use": "csv", "with": {"delimiter": ";", "quote": "'"}}),
    "in.json": (json.dumps({"rows": RECORDS}).encode(), {"use": "json", "with": {"at": "rows"}}),
}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with Bucket(tmp_path_factory.mktemp("s3") / "bucket") as server:
        yield server


@pytest.fixture(scope="module")
def sftp(tmp_path_factory):
    with Sftp(tmp_path_factory.mktemp("sftp") / "server") as server:
        yield server


@pytest.fixture
def shelf():
    with Shelf() as server:
        yield server


@pytest.fixture
def there(project, bucket, sftp):
    """Run the command with everything it needs to reach all servers."""
    project.plugin(PARTS)
    places = {"XDG_STATE_HOME": str(project / "state")} | bucket.environment | sftp.environment

    def run(*more, **variables):
        return project.cli("run", "chain.yaml", "-q", *more, env=os.environ | places | variables)

    return run


def left(project):
    """The files with the user's state."""
    return sorted(path.name.partition("%")[0] for path in (project / "state").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "source", "sink", "out", "lines"),
    [
        ("in.jsonl", "shelf", "bucket", "deep/out.jsonl", [501, 1001]),
        ("in.csv.gz", "bucket", "sftp", "out.jsonl.gz", [502, 1002]),
        ("in.json", "sftp", None, "out.jsonl", [None, None]),
    ],
)
def test_every_record_has_one_fate_whoever_is_killed(project, there, request, name, source, sink, out, lines):
    content, part = FILES[name]
    servers = {key: request.getfixturevalue(key) for key in (source, sink) if key}
    servers[source].put(name, content)
    target = servers[sink].url(out) if sink else out
    part = part | {"with": part["with"] | {"path": servers[source].url(name)}}
    run = {"frame": 31, "checkpoint": "1ms", "window": "16KB"}
    fatal = {"use": "fatal", "workers": 2, "on_error": "dead_letter"}
    project.config(fatal, source=part, sink=target, dead_letter="letters.jsonl", run=run)

    killed = there("--allow-dead-letters")
    done = there("--allow-dead-letters", "--resume")

    assert (killed.returncode, done.returncode, done.stderr) == (-signal.SIGKILL, 0, b"")
    found = servers[sink].get(out) if sink else (project / out).read_bytes()
    assert (gzip.decompress(found) if out.endswith(".gz") else found) == KEPT
    letters = [json.loads(line) for line in (project / "letters.jsonl").read_text().splitlines()]
    assert [letter["record"]["n"] for letter in letters] == ["500", "1000"]
    assert {letter["origin"]["name"] for letter in letters} == {servers[source].url(name)}
    assert [letter["origin"].get("line") for letter in letters] == lines
    assert left(project) == ([f".{target.partition(':')[0]}"] if sink else [])


def test_kills_before_and_after_the_upload(project, there, sftp):
    project.write("in.jsonl", LINES.decode())
    sftp.put("out.jsonl", b"old")
    project.config("counted", source="in.jsonl", sink=sftp.url("out.jsonl"))

    for number, (point, before) in enumerate({"finishing:1": b"old", "rename:1": WRITTEN}.items(), 1):
        killed = there(STAGERUNNER_KILL_AT=point, STAGERUNNER_KILL_LOG=str(project / point))
        there_then = sftp.get("out.jsonl")
        done = there("--resume")

        assert (killed.returncode, done.returncode, done.stderr) == (-signal.SIGKILL, 0, b"")
        assert (there_then, sftp.get("out.jsonl")) == (before, WRITTEN)
        assert len((project / "calls").read_text()) == COUNT * number


def test_an_upload_that_fails_is_done_by_resume_and_so_are_those_of_other_sinks(project, there, sftp):
    in_the_way = sftp.files / "late.jsonl"
    project.plugin(
        PARTS
        + f"""
@stage
def obstructing(record):
    if record["n"] == "7":
        os.mkdir({str(in_the_way)!r})
    return record
"""
    )
    project.write("in.jsonl", LINES.decode())
    sink = {"use": "jsonl", "with": {"path": sftp.url("late.jsonl"), "options": {"attempts": 2}}}
    others = ["early.jsonl", sink, {"use": "jsonl", "with": {"path": sftp.url("odd.jsonl")}, "when": "int(n) % 2 == 1"}]
    project.config("counted", "obstructing", source="in.jsonl", sinks=others)

    failed = there()
    in_the_way.rmdir()
    done = there("--resume")

    assert failed.returncode == 75
    assert b"(tried 2 times); the output is complete in " in failed.stderr
    assert (done.returncode, done.stderr, sftp.get("late.jsonl")) == (0, b"", WRITTEN)
    assert (project / "early.jsonl").read_bytes() == WRITTEN
    assert sftp.get("odd.jsonl") == b"".join(WRITTEN.splitlines(True)[1::2])
    assert len((project / "calls").read_text()) == COUNT


def test_two_runs_into_one_remote_output_exclude_each_other(project, there, sftp):
    project.write("in.jsonl", LINES.decode())
    project.plugin("@stage\ndef slow(record):\n    tell('begun')\n    wait_for('over')\n    return record\n")
    project.config("slow", source="in.jsonl", sink=sftp.url("one.jsonl"))
    environment = os.environ | sftp.environment | {"XDG_STATE_HOME": str(project / "state")}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command("run", "chain.yaml", "-q"), cwd=project.folder, env=environment, **quiet) as first:
        wait_until((project / "begun").exists)
        second = there()
        project.write("over", "")
    assert (first.returncode, second.returncode) == (0, 73)


def test_a_server_that_fails_now_and_then(project, there, shelf):
    shelf.put("in.jsonl", LINES)
    failures = iter([Reply(503), Reply(206, LINES, drop=999), Reply(500), None, Reply(429)])
    shelf.fault = lambda request: next(failures, None) if request.method == "GET" else None
    project.config("same", source=shelf.url("in.jsonl"), sink="out.jsonl")

    done = there()

    assert (done.returncode, done.stderr) == (0, b"")
    assert (project / "out.jsonl").read_bytes() == WRITTEN


def test_a_server_that_hangs_ends_the_run_and_says_so(project, there, shelf):
    shelf.put("in.jsonl", LINES)
    shelf.fault = lambda request: Reply(after=60) if request.method == "GET" else None
    source = {"use": "jsonl", "with": {"path": shelf.url("in.jsonl"), "options": {"timeout": 0.3, "attempts": 2}}}
    project.config("same", source=source, sink="out.jsonl")

    hung = there()
    shelf.fault = lambda request: None
    done = there("--resume")

    assert hung.returncode == 75
    assert b"(tried 2 times)" in hung.stderr
    assert (done.returncode, (project / "out.jsonl").read_bytes()) == (0, WRITTEN)


def test_a_server_that_is_away_is_no_mistake_in_the_config(project, there, shelf):
    source = {"use": "jsonl", "with": {"path": "http://127.0.0.1:9/in.jsonl", "options": {"attempts": 1}}}
    project.config("same", source=source, sink="out.jsonl")
    away = there()
    assert (away.returncode, away.stderr.count(b"\n")) == (75, 1)
    assert away.stderr.startswith(b"error[stopped]: http://127.0.0.1:9/in.jsonl: ")
    assert away.stderr.endswith(b" (tried once)\n")
    project.config("same", "nix", source=source, sink="out.jsonl")
    assert there().returncode == 2


def test_a_file_that_changes_is_noticed_and_no_secret_is_shown(project, there, shelf):
    shelf.put("in.jsonl", LINES)
    project.plugin(PARTS)
    url = shelf.url("in.jsonl").replace("http://", "http://amy:hunter2words@") + "?token=hush-hush"
    fatal, run = {"use": "fatal", "on_error": "skip"}, {"checkpoint": "1ms", "frame": 9}
    project.config(fatal, source=url, sink="out.jsonl", run=run)

    killed = there()
    shelf.put("in.jsonl", LINES + LINES)
    changed = there("--resume")
    shelf.fault = lambda request: shelf.put("in.jsonl", LINES) if "range" in request.headers else None
    in_the_run = there()

    assert (killed.returncode, changed.returncode, in_the_run.returncode) == (-signal.SIGKILL, 2, 1)
    assert b"the run to be resumed has changed since" in changed.stderr
    assert b"has changed since the run began" in in_the_run.stderr
    journal = b"".join(path.read_bytes() for path in project.folder.glob(".out.jsonl.stagerunner*"))
    shown = killed.stderr + changed.stderr + in_the_run.stderr + journal
    assert b"amy:***@" in journal
    assert b"hunter2words" not in shown
    assert b"hush-hush" not in shown


@pytest.mark.parametrize("lengths", [True, False])
def test_a_server_without_ranges_is_read_as_a_stream(project, there, lengths):
    with Shelf(ranges=False, lengths=lengths) as shelf:
        content = LINES * 40  # more than one request's worth
        shelf.put("in.jsonl", content)
        drops = iter([Reply(200, content, drop=1_000_000)] * lengths)
        wanted = lambda request: request.method == "GET" and "range" not in request.headers  # noqa: E731
        shelf.fault = lambda request: next(drops, None) if wanted(request) else None
        project.config("same", source=shelf.url("in.jsonl"), sink="out.jsonl")
        done = there()
    assert (done.returncode, done.stderr) == (0, b"")
    assert (project / "out.jsonl").read_bytes() == WRITTEN * 40
    assert next(drops, None) is None


def test_a_stream_whose_end_could_be_a_broken_connection_is_refused(project, there, shelf):
    shelf.fault = lambda request: Reply(200, LINES, {"Content-Length": None}, close=True)
    project.config("same", source=shelf.url("in.jsonl"), sink="out.jsonl")
    done = there()
    assert done.returncode == 1
    assert b"the server doesn't say how long it is" in done.stderr


def test_columns_are_read_in_parts_and_put_in_their_place(project, there, shelf, bucket):
    needs.module("pyarrow", "stagerunner[arrow]")
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"n": str(number), "size": number} for number in range(COUNT)]
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows[:700]), out, row_group_size=200)
    shelf.put("in.parquet", out.getvalue().to_pybytes())
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, pa.Table.from_pylist(rows).schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows[700:]), 200)
    bucket.put("in.arrow", out.getvalue().to_pybytes())
    chosen = {"filter": "size >= 300", "columns": ["n"]}
    source = [
        {"use": "parquet", "with": {"path": shelf.url("in.parquet"), **chosen}},
        {"use": "arrow", "with": {"path": bucket.url("in.arrow"), **chosen}},
    ]
    fatal = {"use": "fatal", "on_error": "dead_letter"}
    run = {"frame": 31, "checkpoint": "1ms", "window": "16KB"}
    project.config(fatal, source=source, sink=bucket.url("out.parquet"), dead_letter="letters.jsonl", run=run)

    killed = there("--allow-dead-letters")
    done = there("--allow-dead-letters", "--resume")

    assert (killed.returncode, done.returncode, done.stderr) == (-signal.SIGKILL, 0, b"")
    found = pq.read_table(pa.BufferReader(bucket.get("out.parquet"))).column("n").to_pylist()
    assert found == [row["n"] for row in rows[300:] if row["n"] not in ("500", "1000")]
    letters = [json.loads(line)["origin"] for line in (project / "letters.jsonl").read_text().splitlines()]
    assert [(origin["name"], origin["number"]) for origin in letters] == [
        (shelf.url("in.parquet"), 500),
        (bucket.url("in.arrow"), 300),
    ]
    assert left(project) == [".s3"]


def test_a_bucket_that_is_not_there_is_a_mistake_in_the_plan(project, there, bucket):
    project.write("in.jsonl", "")
    sinks = [url.replace("shelf", "nowhere") for url in map(bucket.url, ("out.jsonl", "{day}/out.jsonl"))]
    project.config("same", source="in.jsonl", sinks=sinks)
    refused = there()
    assert refused.returncode == 2
    assert refused.stderr.count(b"error[sink-check]: there is no bucket s3://nowhere\n") == 2


RUN = {"frame": 11, "checkpoint": "1ms", "window": "16KB"}
MANY = 300
POINTS = ["accept:3", "sink written:2", "one of several:2"]


def three_sinks(bucket, sftp, folder):
    """Files for each value, parts in a folder, and a file here that is compared with them."""
    return [
        {"use": "jsonl", "name": "days", "with": {"path": bucket.url(f"{folder}/{{day}}/n.jsonl.gz")}},
        {"use": "parquet", "with": {"path": bucket.url(f"{folder}/parts"), "rows": 100, "group": 50}},
        {"use": "csv", "name": "kinds", "when": "n % 2 == 0", "with": {"path": sftp.url(f"{folder}/k-{{kind}}.csv")}},
        "all.jsonl",
    ]


def rows_in(bucket, sftp, folder):
    """What each of the three sinks has at its address, file by file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = bucket.names()
    days = {name: gzip.decompress(bucket.get(name)) for name in names if name.startswith(f"{folder}/day")}
    parts = [name for name in names if name.startswith(f"{folder}/parts/")]
    rows = {name: pq.read_table(pa.BufferReader(bucket.get(name))).to_pylist() for name in parts}
    kinds = {path.name: path.read_bytes() for path in (sftp.files / folder).iterdir()}
    return days, rows, kinds


def test_several_sinks_at_addresses_are_exact_whoever_is_killed(project, there, bucket, sftp):
    needs.module("pyarrow", "stagerunner[arrow]")
    folder = "many"
    records = [{"n": n, "day": f"day {n // 100}", "kind": f"{n % 3}"} for n in range(MANY)]
    kept = [record for record in records if record["n"] % 7]
    project.plugin("@stage\ndef some(record):\n    if record['n'] % 7: yield record\n")
    project.write("in.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    stale = f"{folder}/parts/part-00099.parquet"
    bucket.put(stale, b"of an earlier run")
    project.config("some", source="in.jsonl", sinks=three_sinks(bucket, sftp, folder), run=RUN)

    for number, point in enumerate(POINTS):
        log = str(project / f"died-{number}")
        killed = there(*["--resume"][:number], STAGERUNNER_KILL_AT=point, STAGERUNNER_KILL_LOG=log)
        assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, b""), point
    done = there("--resume")

    assert (done.returncode, done.stderr) == (0, b"")
    days, parts, kinds = rows_in(bucket, sftp, folder)
    lines = [json.dumps(record, separators=(",", ":")) for record in kept]
    assert days == {
        f"{folder}/day {day}/n.jsonl.gz": "".join(f"{line}\n" for line in lines if f"day {day}" in line).encode()
        for day in range(3)
    }
    assert list(parts) == [f"{folder}/parts/part-{number:05}.parquet" for number in range(-(-len(kept) // 100))]
    assert [row for part in parts.values() for row in part] == kept
    assert kinds == {
        f"k-{kind}.csv": b"n,day,kind\n"
        + b"".join(
            f"{row['n']},{row['day']},{kind}\n".encode()
            for row in kept
            if row["n"] % 2 == 0 and row["kind"] == str(kind)
        )
        for kind in range(3)
    }
    assert (project / "all.jsonl").read_text() == "".join(f"{line}\n" for line in lines)
    assert {name.partition("%")[0] for name in left(project)} == {".s3", ".sftp"}
